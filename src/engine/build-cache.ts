import type { BuildCacheItem, BuildCachePruned, CacheSpace, Filters } from '#api-types';
import type { BuildCacheRecord, ImageRecord, Keeping } from '#metadata';
import { sys } from '#sys';
import { type CacheType, cacheSelection } from './cache-filters.ts';
import { isCacheMountKey } from './cache-mounts/index.ts';
import type { CacheRule } from './cache-rules.ts';
import { spaceBound } from './cache-space.ts';
import type { EngineContext } from './context.ts';
import { collectGarbage } from './images/collect.ts';
import { formatMs } from './time.ts';

/** The build cache as `GET /system/df` lists it. */
export async function listBuildCache(ctx: EngineContext): Promise<BuildCacheItem[]> {
  return await Promise.all(ctx.metadata.buildCache.list().map((record) => cacheItem(ctx, record)));
}

/** A record whose image is there has no bytes of its own: they are counted with the images. */
async function cacheItem(ctx: EngineContext, record: BuildCacheRecord): Promise<BuildCacheItem> {
  const { imageID } = record.result;
  return {
    ID: record.key.replace(/^.*:/, '').slice(0, 25),
    Type: typeOf(record),
    Description: record.description,
    InUse: isHeld(ctx, record),
    Shared: imageID !== undefined && ctx.metadata.images.get(imageID) !== undefined,
    Size: await sizeBytes(ctx, record),
    CreatedAt: formatMs(record.createdMs),
    LastUsedAt: formatMs(record.lastUsedMs),
    UsageCount: record.usageCount,
  };
}

/** `POST /build/prune`. Without `all`, records that images still need are kept. What a build uses now always stays. */
export async function pruneBuildCache(
  ctx: EngineContext,
  options: { all?: boolean; filters?: Filters } & CacheSpace = {},
): Promise<BuildCachePruned> {
  const { chosen, isBounded } = await choose(ctx, options);
  const pruned = await remove(ctx, chosen, ctx.metadata.journal.keeping('builder prune', ''));
  if (options.all && !options.filters && !isBounded) await ctx.contextMemory.clear();
  return pruned;
}

/** The same by a rule, for room: nothing is kept for an undo. Undefined when there was nothing to do. */
export async function pruneByRule(ctx: EngineContext, rule: CacheRule): Promise<BuildCachePruned | undefined> {
  const { chosen } = await choose(ctx, rule);
  return chosen.length > 0 ? await remove(ctx, chosen, undefined) : undefined;
}

/** What a prune means, longest unused first. */
async function choose(
  ctx: EngineContext,
  options: CacheRule,
): Promise<{ readonly chosen: readonly SizedRecord[]; readonly isBounded: boolean }> {
  const isWanted = cacheSelection(options.filters ?? {});
  const needed = neededImages(ctx);
  const records = await Promise.all(
    ctx.metadata.buildCache.list().map(async (record) => ({
      ...record,
      type: typeOf(record),
      isHeld: isHeld(ctx, record),
      sizeBytes: await sizeBytes(ctx, record),
    })),
  );
  const wanted = records
    .filter((record) => options.all || record.result.imageID === undefined || !needed.has(record.result.imageID))
    .filter(isWanted)
    .sort((a, b) => a.lastUsedMs - b.lastUsedMs);
  let keptBytes = records.reduce((sum, record) => sum + record.sizeBytes, 0);
  const boundBytes = spaceBound(options, keptBytes, () => freeBytes(ctx));
  const chosen = wanted.filter((record) => {
    if (boundBytes !== undefined && keptBytes <= boundBytes) return false;
    keptBytes -= record.sizeBytes;
    return true;
  });
  return { chosen, isBounded: boundBytes !== undefined };
}

type SizedRecord = BuildCacheRecord & { readonly sizeBytes: number };

async function remove(
  ctx: EngineContext,
  chosen: readonly SizedRecord[],
  keep: Keeping | undefined,
): Promise<BuildCachePruned> {
  const steps = chosen.filter((record) => !isCacheMountKey(record.key));
  await ctx.metadata.buildCache.remove(
    steps.map((record) => record.key),
    keep,
  );
  await rememberPruned(ctx, steps);
  await ctx.fileLists.keepOnly(listedContents(ctx));
  const gone = new Set<BuildCacheRecord>(steps);
  let freedBytes = 0;
  for (const record of chosen.filter((item) => isCacheMountKey(item.key))) {
    if (!(await ctx.cacheMounts.remove(record.key))) continue;
    gone.add(record);
    freedBytes += record.sizeBytes;
  }
  freedBytes += await collectGarbage(ctx, keep);
  ctx.events.emit({ type: 'builder', action: 'prune', id: '', attributes: { reclaimed: String(freedBytes) } });
  const deleted = chosen.filter((record) => gone.has(record)).map((record) => record.key);
  return { CachesDeleted: deleted.length > 0 ? deleted : null, SpaceReclaimed: freedBytes };
}

/** Of the disk the data is on, as far as others than root may use it. */
function freeBytes(ctx: EngineContext): number {
  const { available, blockSize } = sys.statfs(ctx.root);
  return available * blockSize;
}

/** The file lists that records still name. */
function listedContents(ctx: EngineContext): Set<string> {
  const contents = ctx.metadata.buildCache
    .list()
    .map(({ components }) => (components as { content?: unknown } | undefined)?.content);
  return new Set(contents.filter((content) => typeof content === 'string'));
}

const prunedSetting = 'pruned-build-cache';
/** Older ones are forgotten. */
const maxRemembered = 5000;
const rememberedDigits = 16;

/** So that a later build can say why it found nothing. */
async function rememberPruned(ctx: EngineContext, records: readonly BuildCacheRecord[]): Promise<void> {
  if (records.length === 0) return;
  const keys = [...prunedKeys(ctx), ...records.map((record) => shortKey(record.key))];
  await ctx.metadata.setSetting(prunedSetting, [...new Set(keys)].slice(-maxRemembered).join(' '));
}

export function wasPruned(ctx: EngineContext, key: string): boolean {
  return prunedKeys(ctx).includes(shortKey(key));
}

function prunedKeys(ctx: EngineContext): string[] {
  return (ctx.metadata.setting(prunedSetting) ?? '').split(' ').filter(Boolean);
}

function shortKey(key: string): string {
  return key.slice(key.indexOf(':') + 1).slice(0, rememberedDigits);
}

function typeOf(record: BuildCacheRecord): CacheType {
  return isCacheMountKey(record.key) ? 'exec.cachemount' : 'regular';
}

function isHeld(ctx: EngineContext, { key }: BuildCacheRecord): boolean {
  return isCacheMountKey(key) && ctx.cacheMounts.isHeld(key);
}

async function sizeBytes(ctx: EngineContext, record: BuildCacheRecord): Promise<number> {
  return isCacheMountKey(record.key) ? await ctx.cacheMounts.usageBytes(record.key) : record.sizeBytes;
}

/** Images with a name, and what they grew from: a build over them would want its cache. */
function neededImages(ctx: EngineContext): Set<string> {
  const needed = new Set<string>();
  for (const named of ctx.metadata.images.list().filter((image) => image.names.length > 0)) {
    for (let image: ImageRecord | undefined = named; image && !needed.has(image.id); ) {
      needed.add(image.id);
      image = image.parent ? ctx.metadata.images.get(image.parent) : undefined;
    }
  }
  return needed;
}
