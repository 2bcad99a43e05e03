import { isIP } from 'node:net';
import type { Ulimit } from '#api-types';
import { EngineError } from '#errdefs';

/** `name=address`, separated by commas, as `name:address`. @throws `invalid-argument` */
export function extraHosts(list: string): readonly string[] {
  return fields(list).map((field) => {
    const at = field.indexOf('=');
    if (at < 0) throw new EngineError('invalid-argument', `invalid key-value pair ${field}`);
    const address = field.slice(at + 1);
    if (isIP(address) === 0) throw new EngineError('invalid-argument', `failed to parse IP ${address}`);
    return `${field.slice(0, at).toLowerCase()}:${address}`;
  });
}

/** @throws `invalid-argument` */
export function networkMode(mode: string): string {
  if (mode === 'sandbox') return 'default';
  if (mode === 'host' || mode === 'none') return mode;
  throw new EngineError('invalid-argument', `invalid netmode ${mode}`);
}

/** `name=soft[:hard]`, separated by commas. @throws `invalid-argument` */
export function ulimits(list: string): readonly Ulimit[] {
  return fields(list).map((field) => {
    const [, name, soft, hard = soft] = /^([a-z]+)=(-?\d{1,18})(?::(-?\d{1,18}))?$/.exec(field) ?? [];
    if (name === undefined) throw new EngineError('invalid-argument', `invalid ulimit argument: ${field}`);
    return { Name: name, Soft: Number(soft), Hard: Number(hard) };
  });
}

function fields(list: string): readonly string[] {
  return list.split(',').map((field) => field.replace(/^"(.*)"$/, '$1'));
}
