import type { Ulimit } from '#api-types';
import { EngineError } from '#errdefs';
import type { AddressPool, NamedRuntime, OptionSpec, OptionValue } from './daemon-option.ts';
import { daemonOptions } from './daemon-options.ts';
import { maskCredentials } from './proxies.ts';

type Values = ReadonlyMap<string, OptionValue>;

/** @throws `invalid-argument` in dockerd's words, naming what stands in both. */
export function refuseConflicts(given: Values, fromFile: Values): void {
  const conflicts = daemonOptions
    .filter(({ flag }) => given.has(flag) && fromFile.has(flag))
    .map((spec) => {
      const [ours, theirs] = [flagText(spec, given.get(spec.flag)!), goText(fromFile.get(spec.flag)!)];
      return `${spec.key}: (from flag: ${ours}, from file: ${spec.kind === 'bytes' ? sizeText(theirs) : theirs})`;
    })
    .sort();
  if (conflicts.length === 0) return;
  throw new EngineError(
    'invalid-argument',
    `the following directives are specified both as a flag and in the configuration file: ${conflicts.join(', ')}`,
  );
}

/** As the flag's own type prints itself. */
function flagText({ kind }: OptionSpec, value: OptionValue): string {
  if (kind === 'bytes') return sizeText(value);
  if (kind !== 'ulimits') return goText(value);
  const limits = Object.values(value as Readonly<Record<string, Ulimit>>);
  return `[${limits.map(({ Name, Soft, Hard }) => `${Name}=${Soft}:${Hard}`).join(' ')}]`;
}

const sizeUnits = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

function sizeText(value: OptionValue): string {
  const bytes = Number(value);
  const at = Math.min(bytes > 0 ? Math.floor(Math.log2(bytes) / 10) : 0, sizeUnits.length - 1);
  return `${Number((bytes / 2 ** (10 * at)).toPrecision(4))}${sizeUnits[at]}`;
}

/** A value as Go's `%v` prints it. */
function goText(value: OptionValue): string {
  if (typeof value !== 'object') return typeof value === 'string' ? maskCredentials(value) : String(value);
  if (Array.isArray(value)) {
    const items = value.map((item: string | AddressPool) =>
      typeof item === 'string' ? item : `{${item.base} ${item.size}}`,
    );
    return `[${items.join(' ')}]`;
  }
  return mapText(value as Readonly<Record<string, unknown>>);
}

function mapText(map: Readonly<Record<string, unknown>>): string {
  const pairs = Object.entries(map).sort(([left], [right]) => (left < right ? -1 : 1));
  return `map[${pairs.map(([key, item]) => `${key}:${itemText(item)}`).join(' ')}]`;
}

function itemText(item: unknown): string {
  if (typeof item !== 'object' || item === null) return String(item);
  return isRuntime(item) ? [item.path, ...item.args].join(' ') : mapText(item as Readonly<Record<string, unknown>>);
}

const isRuntime = (item: object): item is NamedRuntime => 'args' in item && Array.isArray(item.args);
