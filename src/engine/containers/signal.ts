import { constants } from 'node:os';
import { EngineError } from '#errdefs';

/** A signal by number or name, with or without `SIG`. @throws `invalid-argument` in Docker's words. */
export function parseSignal(text: string): number {
  if (/^\d+$/.test(text)) {
    const number = Number(text);
    if (number >= 1 && number <= 64) return number;
    if (number > 64) throw new EngineError('invalid-argument', `the linux daemon does not support signal ${text}`);
  }
  const name = text.toUpperCase().replace(/^(?!SIG)/, 'SIG');
  const known = (constants.signals as Readonly<Record<string, number>>)[name];
  if (known !== undefined) return known;
  const realtime = /^SIGRTM(IN|AX)(?:([+-])(\d+))?$/.exec(name);
  if (realtime) {
    const number = (realtime[1] === 'IN' ? 34 : 64) + Number(`${realtime[2] ?? '+'}${realtime[3] ?? 0}`);
    if (number >= 34 && number <= 64) return number;
  }
  throw new EngineError('invalid-argument', `invalid signal: ${text}`);
}
