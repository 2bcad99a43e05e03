import { parseSize } from '#api-types';
import { EngineError, messageOf } from '#errdefs';
import { decodeBuilder } from './builder-options.ts';
import { decodeUlimits } from './container-defaults.ts';
import { checkPrefix } from './daemon-checks.ts';
import type { AddressPool, DriverOptions, NamedRuntime, OptionSpec, OptionValue } from './daemon-option.ts';
import { daemonOptions } from './daemon-options.ts';
import { absentKeys } from './daemon-refusals.ts';

const byKey = new Map(daemonOptions.flatMap((spec) => (spec.key === undefined ? [] : [[spec.key, spec] as const])));

/**
 * daemon.json as values by flag name. An empty file is an empty configuration; keys are exact.
 * @throws `invalid-argument` on what is no JSON, on wrong types, and on keys nobody knows, all of them named.
 */
export function readDaemonJson(text: string): ReadonlyMap<string, OptionValue> {
  if (text.trim() === '') return new Map();
  const document = withProxies(parse(text));
  for (const [key, why] of Object.entries(absentKeys)) {
    if (asksForSomething(document[key])) throw new EngineError('not-implemented', `${key} is not supported: ${why}`);
  }
  const unknown = Object.keys(document).filter((key) => !byKey.has(key) && !Object.hasOwn(absentKeys, key));
  if (unknown.length > 0) throw unknownKeys(unknown);
  const values = new Map<string, OptionValue>();
  for (const [key, value] of Object.entries(document)) {
    const spec = byKey.get(key);
    if (spec && value !== null) values.set(spec.flag, decode(spec, value));
  }
  return values;
}

/** `{"proxies":{"http-proxy":…}}`, as Docker documents them. */
function withProxies({ proxies, ...document }: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  if (proxies === undefined) return document;
  if (!isRecord(proxies)) throw new EngineError('invalid-argument', 'invalid JSON: proxies must be an object');
  const unknown = Object.keys(proxies).filter((key) => !proxyKeys.includes(key));
  if (unknown.length > 0) throw unknownKeys(unknown);
  return { ...document, ...proxies };
}

const proxyKeys = ['http-proxy', 'https-proxy', 'no-proxy'];

function unknownKeys(keys: readonly string[]): EngineError {
  const fact = "the following directives don't match any configuration option";
  return new EngineError('invalid-argument', `${fact}: ${keys.toSorted().join(', ')}`);
}

function parse(text: string): Readonly<Record<string, unknown>> {
  let document: unknown;
  try {
    document = JSON.parse(text.replace(/^\uFEFF/, ''));
  } catch (cause) {
    throw new EngineError('invalid-argument', `invalid JSON: ${messageOf(cause)}`, { cause });
  }
  if (!isRecord(document)) {
    throw new EngineError('invalid-argument', 'invalid JSON: the configuration must be an object');
  }
  return document;
}

/** `{"gc":{"enabled":false}}` does not. */
function asksForSomething(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0;
  return isRecord(value) ? Object.values(value).some(asksForSomething) : Boolean(value);
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function decode(spec: OptionSpec, value: unknown): OptionValue {
  const decoded = decoders[spec.kind](value);
  if (decoded === undefined) {
    throw new EngineError('invalid-argument', `invalid JSON: ${spec.key} must be ${descriptions[spec.kind]}`);
  }
  checkEach(spec, decoded);
  return decoded;
}

function checkEach(spec: OptionSpec, value: OptionValue): void {
  const texts = typeof value === 'string' ? [value] : Array.isArray(value) ? (value as readonly unknown[]) : [];
  for (const text of texts) {
    if (typeof text !== 'string' || text === '') continue;
    try {
      spec.check?.(text);
    } catch (cause) {
      throw new EngineError('invalid-argument', messageOf(cause), { cause });
    }
  }
}

const descriptions: Readonly<Record<OptionSpec['kind'], string>> = {
  string: 'a string',
  int: 'an integer',
  bool: 'true or false',
  list: 'a list of strings',
  map: 'an object of strings',
  pools: 'a list of objects with base and size',
  runtimes: 'an object of objects with path and runtimeArgs',
  bytes: 'a string with a size',
  features: 'an object of true and false',
  ulimits: 'an object of objects with Name, Soft and Hard',
  builder: 'an object',
  'driver-options': 'an object of objects of strings',
};

const decoders: Readonly<Record<OptionSpec['kind'], (value: unknown) => OptionValue | undefined>> = {
  string: (value) => (typeof value === 'string' ? value : undefined),
  int: (value) => (Number.isSafeInteger(value) ? (value as number) : undefined),
  bool: (value) => (typeof value === 'boolean' ? value : undefined),
  list: (value) => (isTexts(value) ? value : undefined),
  map: (value) =>
    isRecord(value) && isTexts(Object.values(value)) ? (value as Readonly<Record<string, string>>) : undefined,
  pools: decodePools,
  runtimes: decodeRuntimes,
  bytes: (value) => (typeof value === 'string' ? parseSize(value) : undefined),
  ulimits: decodeUlimits,
  builder: decodeBuilder,
  features: (value) =>
    isRecord(value) && Object.values(value).every((item) => typeof item === 'boolean')
      ? (value as Readonly<Record<string, boolean>>)
      : undefined,
  'driver-options': (value) =>
    isRecord(value) && Object.values(value).every((item) => isRecord(item) && isTexts(Object.values(item)))
      ? (value as DriverOptions)
      : undefined,
};

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}

function decodePools(value: unknown): readonly AddressPool[] | undefined {
  if (!Array.isArray(value)) return undefined;
  const pools: AddressPool[] = [];
  for (const item of value as readonly unknown[]) {
    if (!isRecord(item)) return undefined;
    const { base, size } = item;
    if (typeof base !== 'string' || !Number.isSafeInteger(size)) return undefined;
    checkPrefix(base);
    pools.push({ base, size: size as number });
  }
  return pools;
}

/** `{"name":{"path":"/usr/bin/x","runtimeArgs":["--debug"]}}`. Shims of containerd's, which have types and options, are not used here. */
function decodeRuntimes(value: unknown): Readonly<Record<string, NamedRuntime>> | undefined {
  if (!isRecord(value)) return undefined;
  const runtimes: Record<string, NamedRuntime> = {};
  for (const [name, runtime] of Object.entries(value)) {
    if (!isRecord(runtime) || typeof runtime['path'] !== 'string') return undefined;
    const { path, runtimeArgs = [] } = runtime;
    if (!isTexts(runtimeArgs)) return undefined;
    const extra = Object.keys(runtime).find((key) => key !== 'path' && key !== 'runtimeArgs');
    if (extra !== undefined) {
      throw new EngineError('not-implemented', `runtimes: ${name}: ${extra} is not supported yet`);
    }
    runtimes[name] = { path: path as string, args: runtimeArgs };
  }
  return runtimes;
}
