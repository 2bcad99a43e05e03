import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { BuildCacheItem, Filters } from '#api-types';
import type { DiskUsageRequest, PruneRequest, UsageRecordSchema } from '../proto/control_pb.ts';
import type { BuildKitHost } from '../types.ts';
import { type CacheFilter, parseCacheFilters } from './usage-filter.ts';

type UsageRecord = MessageInitShape<typeof UsageRecordSchema>;

/** The build cache, as `docker buildx du` lists it. @throws `invalid-argument` for a filter that cannot be read */
export async function diskUsage(host: BuildKitHost, { filter }: DiskUsageRequest): Promise<{ record: UsageRecord[] }> {
  const filters = parseCacheFilters(filter);
  const items = await host.buildCache();
  return { record: items.filter((item) => filters.every((one) => one.matches(item))).map(usageOf) };
}

/** Prunes; answers what went. @throws `invalid-argument` */
export async function* prune(host: BuildKitHost, request: PruneRequest): AsyncGenerator<UsageRecord> {
  const filters = filtersOf(parseCacheFilters(request.filter), request.keepDuration);
  const items = await host.buildCache();
  const { CachesDeleted: deleted } = await host.pruneBuildCache({
    all: request.all,
    ...(filters ? { filters } : {}),
    reservedSpaceBytes: Number(request.reservedSpace),
    maxUsedSpaceBytes: Number(request.maxUsedSpace),
    minFreeSpaceBytes: Number(request.minFreeSpace),
  });
  for (const key of deleted ?? []) {
    const item = items.find(({ ID }) => key.replace(/^.*:/, '').startsWith(ID));
    if (item) yield usageOf(item);
  }
}

/** As the Engine API takes them. */
function filtersOf(filters: readonly CacheFilter[], keepNs: bigint): Filters | undefined {
  const named: Record<string, string[]> = {};
  for (const filter of filters)
    for (const [name, values] of Object.entries(filter.asFilters())) named[name] = [...values];
  if (keepNs > 0n) named['unused-for'] = [`${keepNs / 1_000_000n}ms`];
  return Object.keys(named).length > 0 ? named : undefined;
}

function usageOf(item: BuildCacheItem): UsageRecord {
  return {
    id: item.ID,
    inUse: item.InUse,
    mutable: item.Type === 'exec.cachemount',
    shared: item.Shared,
    size: BigInt(item.Size),
    description: item.Description,
    recordType: item.Type,
    usageCount: BigInt(item.UsageCount),
    createdAt: timestampFromDate(new Date(item.CreatedAt)),
    ...(item.LastUsedAt === null ? {} : { lastUsedAt: timestampFromDate(new Date(item.LastUsedAt)) }),
    parents: [...(item.Parents ?? [])],
  };
}
