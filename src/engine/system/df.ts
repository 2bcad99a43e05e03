import type { DiskUsage, Volume } from '#api-types';
import { listBuildCache } from '../build-cache.ts';
import { listContainers } from '../containers/list.ts';
import { volumeUsers } from '../containers/remove.ts';
import type { EngineContext } from '../context.ts';
import { listImages, sharedSizes } from '../images/list.ts';
import { volumeView } from '../volumes.ts';

/** `GET /system/df`: the kinds asked for, all when none is named. Sizes are bytes on the disk's terms: uncompressed layers, writable layers, volumes. */
export async function diskUsage(ctx: EngineContext, options: { types?: readonly string[] } = {}): Promise<DiskUsage> {
  const wants = (type: string) => (options.types?.length ?? 0) === 0 || options.types!.includes(type);
  const shared = sharedSizes(ctx);
  return {
    LayersSize: wants('image') ? layersSizeBytes(ctx) : 0,
    Images: wants('image')
      ? listImages(ctx, { all: false }).map((image) => ({ ...image, SharedSize: shared.get(image.Id) ?? 0 }))
      : null,
    Containers: wants('container') ? await listContainers(ctx, { all: true, size: true }) : null,
    Volumes: wants('volume') ? await volumesWithUsage(ctx) : null,
    BuildCache: wants('build-cache') ? await listBuildCache(ctx) : null,
  };
}

function layersSizeBytes(ctx: EngineContext): number {
  const used = new Set(ctx.metadata.images.list().flatMap((image) => image.diffIDs));
  return [...used].reduce((sum, layer) => sum + (ctx.metadata.layers.get(layer)?.sizeBytes ?? 0), 0);
}

async function volumesWithUsage(ctx: EngineContext): Promise<Volume[]> {
  return await Promise.all(
    ctx.volumes.list().map(async (volume) => ({
      ...volumeView(volume),
      UsageData: { RefCount: volumeUsers(ctx, volume.name).length, Size: await ctx.volumes.usageBytes(volume.name) },
    })),
  );
}
