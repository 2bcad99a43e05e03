import { parseSize } from '#api-types';
import { EngineError, messageOf } from '#errdefs';
import { parseBool, parseInteger } from '#http';
import { parseUlimit } from './container-defaults.ts';
import { checkPrefix } from './daemon-checks.ts';
import type { AddressPool, DriverOptions, NamedRuntime, OptionSpec, OptionValue } from './daemon-option.ts';
import { daemonOptions } from './daemon-options.ts';

/** A command line that cannot be understood: `message` as dockerd says it, to be followed by the usage. Exit code 1. */
export class UsageError extends EngineError {
  constructor(message: string) {
    super('invalid-argument', message);
  }
}

export interface ParsedFlags {
  /** Values by flag name, only those given. Options that repeat are joined. */
  readonly given: ReadonlyMap<string, OptionValue>;
  readonly positional: readonly string[];
}

/** `builder` is a key of daemon.json alone. */
const byFlag = new Map(daemonOptions.filter(({ kind }) => kind !== 'builder').map((spec) => [spec.flag, spec]));
const byShort = new Map(
  daemonOptions.flatMap((spec) => (spec.short === undefined ? [] : [[spec.short, spec] as const])),
);

/**
 * Reads a command line as dockerd does: `--flag=value`, `--flag value`, `-Hvalue`, `-Dl info`; what follows `--` is positional; the last of a repeated single
 * value wins. @throws UsageError.
 */
export function parseFlags(args: readonly string[]): ParsedFlags {
  const given = new Map<string, OptionValue>();
  const positional: string[] = [];
  const rest = [...args];
  while (rest.length > 0) {
    const arg = rest.shift()!;
    if (arg === '--') {
      positional.push(...rest.splice(0));
    } else if (arg.startsWith('--')) {
      readLong(arg, rest, given);
    } else if (arg.startsWith('-') && arg !== '-') {
      readShort(arg, rest, given);
    } else {
      positional.push(arg);
    }
  }
  return { given, positional };
}

function readLong(arg: string, rest: string[], given: Map<string, OptionValue>): void {
  const at = arg.indexOf('=');
  const name = arg.slice(2, at < 0 ? undefined : at);
  const spec = byFlag.get(name);
  if (spec === undefined) throw new UsageError(`unknown flag: --${name}`);
  const attached = at < 0 ? undefined : arg.slice(at + 1);
  const value = attached ?? (spec.kind === 'bool' ? 'true' : rest.shift());
  if (value === undefined) throw new UsageError(`flag needs an argument: --${name}`);
  store(spec, value, given);
}

function readShort(arg: string, rest: string[], given: Map<string, OptionValue>): void {
  for (let at = 1; at < arg.length; at++) {
    const letter = arg[at]!;
    const spec = byShort.get(letter);
    if (spec === undefined) throw new UsageError(`unknown shorthand flag: '${letter}' in ${arg}`);
    const tail = arg.slice(at + 1);
    if (spec.kind === 'bool' && !tail.startsWith('=')) {
      store(spec, 'true', given);
      continue;
    }
    const value = tail === '' ? rest.shift() : tail.replace(/^=/, '');
    if (value === undefined) throw new UsageError(`flag needs an argument: '${letter}' in ${arg}`);
    store(spec, value, given);
    return;
  }
}

function store(spec: OptionSpec, text: string, given: Map<string, OptionValue>): void {
  try {
    given.set(spec.flag, join(given.get(spec.flag), readValue(spec, text)));
  } catch (error) {
    const name = spec.short === undefined ? `--${spec.flag}` : `-${spec.short}, --${spec.flag}`;
    throw new UsageError(`invalid argument ${JSON.stringify(text)} for "${name}" flag: ${messageOf(error)}`);
  }
}

function join(before: OptionValue | undefined, value: OptionValue): OptionValue {
  if (typeof value !== 'object' || typeof before !== 'object') return value;
  if (Array.isArray(value) && Array.isArray(before)) return [...before, ...value] as OptionValue;
  return joinMaps(
    before as Readonly<Record<string, unknown>>,
    value as Readonly<Record<string, unknown>>,
  ) as OptionValue;
}

/** Options of one driver come together. */
function joinMaps(before: Readonly<Record<string, unknown>>, value: Readonly<Record<string, unknown>>): object {
  const joined = Object.entries(value).map(([key, item]) => {
    const earlier = before[key];
    return [key, typeof item === 'object' && typeof earlier === 'object' ? { ...earlier, ...item } : item] as const;
  });
  return { ...before, ...Object.fromEntries(joined) };
}

function readValue(spec: OptionSpec, text: string): OptionValue {
  if (spec.kind === 'bool') {
    const value = parseBool(text);
    if (value !== undefined) return value;
    throw new Error(`strconv.ParseBool: parsing ${JSON.stringify(text)}: invalid syntax`);
  }
  if (spec.kind === 'int') return parseInteger(text, 'ParseInt');
  if (spec.kind === 'bytes') return parseSize(text);
  if (spec.kind === 'ulimits') return parseUlimit(text);
  if (spec.kind === 'pools') return [parsePool(text)];
  if (spec.kind === 'runtimes') return parseRuntime(text);
  if (spec.kind === 'features') return parseFeature(text);
  if (spec.kind === 'map') return parsePair(text);
  if (spec.kind === 'driver-options') return parseDriverOption(text);
  spec.check?.(text);
  return spec.kind === 'list' ? [text] : text;
}

/** `bridge=com.docker.network.driver.mtu=1400` */
function parseDriverOption(text: string): DriverOptions {
  const [, driver, name, value] = /^([^=]*)=([^=]*)=(.*)$/s.exec(text) ?? [];
  if (driver === undefined || name === undefined || value === undefined) {
    throw new Error(`invalid value ${JSON.stringify(text)} for map option, should be root-key=key=value`);
  }
  return { [driver]: { [name]: value } };
}

/** `name`, `name=false` */
function parseFeature(text: string): Readonly<Record<string, boolean>> {
  const [name = '', value = 'true'] = Object.entries(parsePair(text.includes('=') ? text : `${text}=true`))[0] ?? [];
  const wanted = parseBool(value);
  if (wanted === undefined) throw new Error(`strconv.ParseBool: parsing ${JSON.stringify(value)}: invalid syntax`);
  return { [name]: wanted };
}

function parsePair(text: string): Readonly<Record<string, string>> {
  const at = text.indexOf('=');
  return at < 0 ? { [text]: '' } : { [text.slice(0, at)]: text.slice(at + 1) };
}

function parseRuntime(text: string): Readonly<Record<string, NamedRuntime>> {
  const at = text.indexOf('=');
  if (at < 1 || at === text.length - 1) throw new Error(`invalid runtime argument: ${text}`);
  return { [text.slice(0, at)]: { path: text.slice(at + 1), args: [] } };
}

/** `base=10.0.0.0/8,size=24`. */
function parsePool(text: string): AddressPool {
  const fields: { base?: string; size?: number } = {};
  for (const part of text.split(',')) {
    const [key = '', value] = part.split('=');
    if (value === undefined) throw new Error(`invalid field '${part}' must be a key=value pair`);
    if (key.toLowerCase() === 'base') {
      checkPrefix(value);
      fields.base = value;
    } else if (key.toLowerCase() === 'size') {
      fields.size = parseInteger(value);
    } else {
      throw new Error(`unexpected key '${key}' in '${part}'`);
    }
  }
  const { base, size } = fields;
  if (base === undefined || size === undefined) throw new Error(`invalid pool '${text}': needs base and size`);
  return { base, size };
}

const helpWidth = 40;

/** What `--help` prints. */
export function usage(): string {
  const lines = daemonOptions
    .filter(({ absent }) => !absent)
    .map((spec) => {
      const value = spec.kind === 'bool' ? '' : ` ${spec.value ?? spec.kind}`;
      const left = `  ${spec.short === undefined ? '    ' : `-${spec.short}, `}--${spec.flag}${value}`;
      return `${left.padEnd(helpWidth)} ${spec.help}`;
    });
  return `
Usage:  wherryd [OPTIONS]
        wherryd verify [OPTIONS]

A container engine whose heart is the image: the daemon.

Commands:
  verify      Rehash and cross-check everything below the data root; exit code 0 only when all is well

Options:
${lines.join('\n')}
`;
}
