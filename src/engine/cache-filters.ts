import type { Filters } from '#api-types';
import { EngineError, messageOf } from '#errdefs';
import type { BuildCacheRecord } from '#metadata';
import { checkFilterKeys, matchesLabels } from './filters.ts';
import { parseTimeNs } from './time.ts';

const known = [
  'description',
  'id',
  'inuse',
  'label',
  'label!',
  'parent',
  'private',
  'shared',
  'type',
  'unused-for',
  'until',
];

/** As BuildKit names them: the result of a step, or the folder of a `RUN --mount=type=cache`. */
export type CacheType = 'regular' | 'exec.cachemount';

export type FilteredRecord = BuildCacheRecord & { readonly type: CacheType; readonly isHeld: boolean };

/**
 * Which records of the build cache a prune means: those that no build uses now. Ours are all private, without parents and labels, which is what
 * those filters are held against. @throws `invalid-argument` in dockerd's words.
 */
export function cacheSelection(filters: Filters): (record: FilteredRecord) => boolean {
  try {
    checkFilterKeys(filters, known);
    const usedBefore = [lastUse(filters, 'until'), lastUse(filters, 'unused-for')].filter((ms) => ms !== undefined);
    const [id, description, type, parent] = ['id', 'description', 'type', 'parent'].map((key) => single(filters, key));
    const isShared = Object.hasOwn(filters, 'shared') || Object.hasOwn(filters, 'inuse');
    return (record) =>
      !isShared &&
      parent === undefined &&
      !record.isHeld &&
      (type === undefined || type === record.type) &&
      (id === undefined || record.key.includes(id)) &&
      (description === undefined || record.description === description) &&
      matchesLabels(null, filters) &&
      usedBefore.every((ms) => record.lastUsedMs < ms);
  } catch (error) {
    const message = `failed to prune build cache: ${messageOf(error)}`;
    throw new EngineError('invalid-argument', message, { cause: error });
  }
}

function single(filters: Filters, key: string): string | undefined {
  const values = filters[key] ?? [];
  if (values.length > 1) throw new EngineError('invalid-argument', 'filters expect only one value');
  return values[0];
}

function lastUse(filters: Filters, key: string): number | undefined {
  const text = single(filters, key);
  if (text === undefined) return undefined;
  try {
    return Number(parseTimeNs(text) / 1_000_000n);
  } catch (error) {
    const wants = `${JSON.stringify(key)} filter expects a duration (e.g., '24h') or a timestamp`;
    throw new EngineError('invalid-argument', `${wants}: ${messageOf(error)}`, { cause: error });
  }
}
