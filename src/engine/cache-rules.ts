import type { CacheSpace, Filters } from '#api-types';
import { cacheSelection } from './cache-filters.ts';

/** One prune of the build cache that the engine does by itself. */
export interface CacheRule extends CacheSpace {
  /** Also what images still need. */
  readonly all?: boolean;
  readonly filters?: Filters;
}

export interface BuildCacheOptions {
  /** In order, each after the last; none: the cache grows until it is pruned. BuildKit's own unless told otherwise. */
  readonly rules?: readonly CacheRule[];
  /** Bounds of those of BuildKit that have none of their own. */
  readonly space?: CacheSpace;
  /** Between the end of a build and the rules; a minute unless told otherwise. */
  readonly delayMs?: number;
}

const gigabyte = 1e9;
const reserved = { share: 0.1, mostBytes: 10 * gigabyte };
const used = { share: 0.8, mostBytes: 100 * gigabyte };
const freeShare = 0.2;
const maxCacheMountBytes = 512e6;

/**
 * BuildKit's policy and its bounds (docs.docker.com/build/cache/garbage-collection): folders of cache mounts that nobody used for two days, what nobody
 * used for sixty, then whatever is longest unused, until the bounds hold.
 */
export function cacheRules(options: BuildCacheOptions, diskBytes: number): readonly CacheRule[] {
  const rules = options.rules ?? standardRules(options.space ?? standardSpace(diskBytes));
  for (const { filters } of rules) cacheSelection(filters ?? {});
  return rules;
}

function standardRules(space: CacheSpace): readonly CacheRule[] {
  return [
    { filters: { type: ['exec.cachemount'], 'unused-for': ['48h'] }, maxUsedSpaceBytes: maxCacheMountBytes },
    { filters: { 'unused-for': ['1440h'] }, ...space },
    space,
    { all: true, ...space },
  ];
}

function standardSpace(diskBytes: number): CacheSpace {
  return {
    reservedSpaceBytes: Math.min(diskBytes * reserved.share, reserved.mostBytes),
    maxUsedSpaceBytes: Math.min(diskBytes * used.share, used.mostBytes),
    minFreeSpaceBytes: diskBytes * freeShare,
  };
}
