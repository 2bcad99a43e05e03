import type { CacheSpace } from '#api-types';

/**
 * How many of `totalBytes` of cache a prune leaves at least; undefined: it has no bound. As BuildKit reckons: down to what may be used, further where the
 * disk needs it, never below what is reserved. Where the disk has enough room and nothing else is asked for, all stays (BuildKit then prunes all).
 */
export function spaceBound(
  { reservedSpaceBytes = 0, maxUsedSpaceBytes = 0, minFreeSpaceBytes = 0 }: CacheSpace,
  totalBytes: number,
  freeBytes: () => number,
): number | undefined {
  if (reservedSpaceBytes <= 0 && maxUsedSpaceBytes <= 0 && minFreeSpaceBytes <= 0) return undefined;
  const missingBytes = minFreeSpaceBytes > 0 ? Math.max(minFreeSpaceBytes - freeBytes(), 0) : 0;
  const isForRoom = maxUsedSpaceBytes <= 0 && minFreeSpaceBytes > 0;
  const usedBytes = isForRoom ? totalBytes : Math.max(maxUsedSpaceBytes, 0);
  const keptBytes = missingBytes > 0 ? Math.min(usedBytes, totalBytes - missingBytes) : usedBytes;
  return Math.max(keptBytes, reservedSpaceBytes, 0);
}
