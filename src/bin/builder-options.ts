import { type CacheSpace, type Filters, parseSize } from '#api-types';
import type { BuildCacheOptions, CacheRule } from '#engine';
import { EngineError, messageOf } from '#errdefs';

type Fields = Readonly<Record<string, unknown>>;

/** Of a rule and of all rules, by dockerd's names and the older one it still reads. */
const spaceKeys = {
  reservedSpaceBytes: ['reservedSpace', 'keepStorage'],
  maxUsedSpaceBytes: ['maxUsedSpace'],
  minFreeSpaceBytes: ['minFreeSpace'],
} as const;

/**
 * `builder` of daemon.json: dockerd's policy for the build cache (docs.docker.com/build/cache/garbage-collection). Keys that nobody knows are refused,
 * where dockerd passes over them: a bound that is misspelt would be none.
 * @throws `invalid-argument`.
 */
export function decodeBuilder(value: unknown): BuildCacheOptions | undefined {
  if (!isFields(value)) return undefined;
  refuseUnknown('builder', value, ['gc', 'entitlements']);
  const { gc = {}, entitlements = {} } = value;
  if (!isFields(gc) || !isFields(entitlements)) return undefined;
  const asked = Object.entries(entitlements).find(([, wanted]) => Boolean(wanted))?.[0];
  if (asked !== undefined) throw new EngineError('not-implemented', `builder.entitlements.${asked} is not supported`);
  const defaults = ['defaultReservedSpace', 'defaultKeepStorage', 'defaultMaxUsedSpace', 'defaultMinFreeSpace'];
  refuseUnknown('builder.gc', gc, ['enabled', 'policy', ...defaults]);
  if (gc['enabled'] === false) return { rules: [] };
  const space = spaceOf('builder.gc', gc, (key) => `default${key.charAt(0).toUpperCase()}${key.slice(1)}`);
  const policy = gc['policy'] ?? undefined;
  if (policy === undefined) return Object.keys(space).length > 0 ? { space } : {};
  if (!Array.isArray(policy)) throw invalid('builder.gc.policy must be a list of objects');
  return { rules: policy.map((rule: unknown) => decodeRule(rule, space)) };
}

function decodeRule(rule: unknown, defaults: CacheSpace): CacheRule {
  const where = 'builder.gc.policy';
  if (!isFields(rule)) throw invalid(`${where} must be a list of objects`);
  refuseUnknown(where, rule, ['all', 'filter', 'keepDuration', ...Object.values(spaceKeys).flat()]);
  if (typeof (rule['all'] ?? false) !== 'boolean') throw invalid(`${where}: all must be true or false`);
  const filters = filtersOf([
    ...texts(rule, 'filter'),
    ...texts(rule, 'keepDuration').map((age) => `unused-for=${age}`),
  ]);
  return {
    ...(rule['all'] ? { all: true } : {}),
    ...(Object.keys(filters).length > 0 ? { filters } : {}),
    ...defaults,
    ...spaceOf(where, rule, (key) => key),
  };
}

/** Zero is no bound of its own, as dockerd has it. */
function spaceOf(where: string, fields: Fields, nameOf: (key: string) => string): CacheSpace {
  const bounds = Object.entries(spaceKeys).flatMap(([bound, keys]) => {
    const name = keys.map(nameOf).find((key) => fields[key] !== undefined && fields[key] !== null);
    const bytes = name === undefined ? 0 : sizeOf(`${where}.${name}`, fields[name]);
    return bytes > 0 ? [[bound, bytes] as const] : [];
  });
  return Object.fromEntries(bounds);
}

function sizeOf(where: string, value: unknown): number {
  try {
    return parseSize(String(value));
  } catch (cause) {
    throw new EngineError('invalid-argument', `invalid JSON: ${where}: ${messageOf(cause)}`, { cause });
  }
}

function filtersOf(filters: readonly string[]): Filters {
  const byKey: Record<string, readonly string[]> = {};
  for (const filter of filters) {
    const [, key, value = ''] = /^([^=]+)==?(.*)$/s.exec(filter) ?? [];
    if (key === undefined) throw invalid(`builder.gc.policy: invalid filter: ${filter}`);
    const values = key === 'type' ? kinds(value) : [value];
    if (values.length > 0) byKey[key] = [...(byKey[key] ?? []), ...values];
  }
  return byKey;
}

/** `source.local,type==exec.cachemount`: any of them. Contexts and checkouts are no records here, so that one kind of ours is left, or both. */
function kinds(value: string): readonly string[] {
  const wanted = value.split(',').map((part) => part.replace(/^type==?/, ''));
  const ours = wanted.filter((kind) => kind === 'regular' || kind === 'exec.cachemount');
  if (ours.length === 0) return wanted.slice(0, 1);
  return ours.length === 1 ? ours : [];
}

function texts(fields: Fields, key: string): readonly string[] {
  const value = fields[key] ?? [];
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  if (!list.every((item) => typeof item === 'string'))
    throw invalid(`builder.gc.policy: ${key} must be a list of strings`);
  return list as readonly string[];
}

function refuseUnknown(where: string, fields: Fields, known: readonly string[]): void {
  const unknown = Object.keys(fields).filter((key) => !known.includes(key));
  if (unknown.length > 0) throw invalid(`${where} has no ${unknown.toSorted().join(', ')}`);
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function invalid(fact: string): EngineError {
  return new EngineError('invalid-argument', `invalid JSON: ${fact}`);
}
