import type { BuildCacheItem, ContainerSummary, DiskUsage, ImageSummary, Volume } from '#api-types';
import type { Call } from '../call.ts';
import { containerSummariesFor } from './containers.ts';
import { orNull } from './images.ts';

/**
 * Before 1.44 images had `VirtualSize`, before 1.42 the build cache had a total. From 1.52 on there is a summary of each kind, with the lists inside when
 * they are asked for by `verbose`, and beside it otherwise.
 */
export function diskUsageFor(call: Call, usage: DiskUsage): object {
  if (call.before('1.52')) return withLists(call, usage);
  const lists = withLists(call, usage);
  const verbose = call.query.bool('verbose');
  return { ...(verbose ? {} : given(lists)), ...summaries(usage, verbose ? lists : {}) };
}

/** The lists of an answer as they go out. */
interface Lists {
  readonly LayersSize?: number;
  readonly Images: readonly object[] | null;
  readonly Containers: readonly object[] | null;
  readonly Volumes: readonly object[] | null;
  readonly BuildCache: readonly object[] | null;
}

function withLists(call: Call, usage: DiskUsage): Lists {
  const cache = usage.BuildCache?.map((item) => buildCacheItem(item, call.before('1.42'))) ?? null;
  return {
    ...usage,
    Images: usage.Images?.map((image) => usedImage(call, image)) ?? null,
    Containers: usage.Containers && containerSummariesFor(call, usage.Containers),
    BuildCache: cache,
    ...(call.before('1.42') ? { BuilderSize: privateCacheBytes(usage.BuildCache ?? []) } : {}),
  };
}

/** Here, unlike in a list, an image without names has null for them. */
function usedImage(call: Call, image: ImageSummary): object {
  const names = { RepoDigests: orNull(image.RepoDigests ?? []), RepoTags: orNull(image.RepoTags ?? []) };
  return { ...image, ...names, ...(call.before('1.44') ? { VirtualSize: image.Size } : {}) };
}

function privateCacheBytes(items: readonly BuildCacheItem[]): number {
  return items.reduce((sum, item) => sum + (item.Shared ? 0 : item.Size), 0);
}

/** The wire's name of `Parents` has a space before it, and the docker CLI reads it so; before 1.42 it was not sent. */
function buildCacheItem({ ID, Parents, ...rest }: BuildCacheItem, withoutParents: boolean): object {
  return withoutParents || Parents === undefined || Parents.length === 0
    ? { ID, ...rest }
    : { ID, ' Parents': Parents, ...rest };
}

/** Kinds that were not asked for are left out, where older answers have null, and so is a size of zero. */
function given(lists: Lists): object {
  return Object.fromEntries(Object.entries(lists).filter(([, value]) => value !== null && value !== 0));
}

function summaries({ LayersSize, Images, Containers, Volumes, BuildCache }: DiskUsage, items: Partial<Lists>): object {
  return {
    ...(Images ? { ImageUsage: summary(imageFigures(Images, LayersSize ?? 0), items.Images) } : {}),
    ...(Containers ? { ContainerUsage: summary(containerFigures(Containers), items.Containers) } : {}),
    ...(Volumes ? { VolumeUsage: summary(volumeFigures(Volumes), items.Volumes) } : {}),
    ...(BuildCache ? { BuildCacheUsage: summary(cacheFigures(BuildCache), items.BuildCache) } : {}),
  };
}

interface Figures {
  readonly active: number;
  readonly total: number;
  readonly reclaimableBytes: number;
  readonly totalBytes: number;
}

/** Zeros and empty lists are left out, as Go leaves them. */
function summary(figures: Figures, items: readonly object[] | null | undefined): object {
  const all = {
    ActiveCount: figures.active,
    Items: items?.length ? items : 0,
    Reclaimable: figures.reclaimableBytes,
    TotalCount: figures.total,
    TotalSize: figures.totalBytes,
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== 0));
}

const sum = <T>(items: readonly T[], bytes: (item: T) => number) => items.reduce((all, item) => all + bytes(item), 0);

function imageFigures(images: readonly ImageSummary[], totalBytes: number): Figures {
  const reclaimableBytes = sum(images, ({ Containers, Size, SharedSize }) =>
    Containers === 0 && Size >= 0 && SharedSize >= 0 ? Size - SharedSize : 0,
  );
  const active = images.filter(({ Containers }) => Containers > 0).length;
  return { active, total: images.length, reclaimableBytes, totalBytes };
}

const liveStates = ['running', 'paused', 'restarting'];

function containerFigures(containers: readonly ContainerSummary[]): Figures {
  const stopped = containers.filter(({ State }) => !liveStates.includes(State));
  const bytes = ({ SizeRw = 0 }: ContainerSummary) => SizeRw;
  return {
    active: containers.length - stopped.length,
    total: containers.length,
    reclaimableBytes: sum(stopped, bytes),
    totalBytes: sum(containers, bytes),
  };
}

function volumeFigures(volumes: readonly Volume[]): Figures {
  const bytes = ({ UsageData }: Volume) => Math.max(UsageData?.Size ?? 0, 0);
  const unused = volumes.filter(({ UsageData }) => UsageData?.RefCount === 0 && UsageData.Size !== -1);
  return {
    active: volumes.length - unused.length,
    total: volumes.length,
    reclaimableBytes: sum(unused, bytes),
    totalBytes: sum(volumes, bytes),
  };
}

function cacheFigures(records: readonly BuildCacheItem[]): Figures {
  return {
    active: records.filter(({ InUse }) => InUse).length,
    total: records.length,
    reclaimableBytes: sum(records, ({ InUse, Shared, Size }) => (InUse || Shared ? 0 : Size)),
    totalBytes: sum(records, ({ Size }) => Size),
  };
}
