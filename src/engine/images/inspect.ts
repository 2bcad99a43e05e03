import type { HistoryItem, ImageInspect, InspectedImageConfig } from '#api-types';
import { readKnownConfig } from '#image';
import type { ImageRecord } from '#metadata';
import type { ImageConfig } from '#oci';
import type { EngineContext } from '../context.ts';
import { formatMs } from '../time.ts';
import { identityField } from './identity.ts';
import { familiarNames } from './list.ts';
import { manifestSummaries } from './manifests.ts';
import { leadOf, resolveForPlatform, targetOf } from './platforms.ts';

/** `GET /images/{name}/json`. */
export async function inspectImage(
  ctx: EngineContext,
  name: string,
  options: { platform?: string; manifests?: boolean } = {},
): Promise<ImageInspect> {
  const image = await resolveForPlatform(ctx, name, options.platform);
  const config = await readKnownConfig(ctx.content, image.id);
  const names = familiarNames(leadOf(ctx, image));
  return {
    Id: image.id,
    RepoTags: names.tags,
    RepoDigests: names.digests,
    Parent: image.parent ?? '',
    Comment: config.history?.at(-1)?.comment ?? '',
    ...createdOf(image, config),
    DockerVersion: config.docker_version ?? '',
    Author: config.author ?? '',
    Architecture: config.architecture,
    ...(config.variant === undefined ? {} : { Variant: config.variant }),
    Os: config.os,
    ...(config['os.version'] === undefined ? {} : { OsVersion: config['os.version'] }),
    Size: image.sizeBytes,
    GraphDriver: { Data: await ctx.snapshots.chainFolders(image.diffIDs), Name: ctx.snapshots.name },
    RootFS: { Type: config.rootfs.type, Layers: config.rootfs.diff_ids },
    Metadata: { LastTagTime: image.lastTaggedMs === undefined ? '0001-01-01T00:00:00Z' : formatMs(image.lastTaggedMs) },
    ...(options.manifests ? await manifestsOf(ctx, image, name) : {}),
    ...identityField(leadOf(ctx, image)),
    Config: inspectedConfig(config),
  };
}

async function manifestsOf(
  ctx: EngineContext,
  image: ImageRecord,
  name: string,
): Promise<Pick<ImageInspect, 'Descriptor' | 'Manifests'>> {
  const target = targetOf(image, name);
  return { Descriptor: target, Manifests: await manifestSummaries(ctx, [target]) };
}

/** Docker's clients want to know when an image was made; of one that was built here its config may tell another moment. */
function createdOf(image: ImageRecord, config: ImageConfig): Pick<ImageInspect, 'Created'> {
  if (image.isMadeHere) return { Created: formatMs(image.createdMs) };
  return config.created === undefined ? {} : { Created: config.created };
}

function inspectedConfig(config: ImageConfig): InspectedImageConfig | null {
  const run = config.config;
  if (!run) return null;
  return {
    ...(run.ArgsEscaped ? { ArgsEscaped: true } : {}),
    Cmd: run.Cmd ?? null,
    Entrypoint: run.Entrypoint ?? null,
    Env: run.Env ?? null,
    ...(run.ExposedPorts ? { ExposedPorts: run.ExposedPorts } : {}),
    ...(run.Healthcheck ? { Healthcheck: sortedKeys(run.Healthcheck) } : {}),
    Labels: run.Labels ?? null,
    OnBuild: run.OnBuild ?? null,
    ...(run.Shell ? { Shell: run.Shell } : {}),
    ...(run.StopSignal ? { StopSignal: run.StopSignal } : {}),
    User: run.User ?? '',
    Volumes: run.Volumes ?? null,
    WorkingDir: run.WorkingDir ?? '',
  };
}

/** Docker's config went through a map, and a map's keys come out in order. */
function sortedKeys<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))) as T;
}

/** `GET /images/{name}/history`: newest first; images that classic builds left show their IDs. */
export async function imageHistory(
  ctx: EngineContext,
  name: string,
  options: { platform?: string } = {},
): Promise<HistoryItem[]> {
  const image = await resolveForPlatform(ctx, name, options.platform);
  const config = await readKnownConfig(ctx.content, image.id);
  const items = historyItems(ctx, config);
  let ancestor: ImageRecord | undefined = image;
  for (const item of items) {
    if (!ancestor) break;
    item.Id = ancestor.id;
    if (ancestor.isMadeHere) item.Created = Math.floor(ancestor.createdMs / 1000);
    const tags = familiarNames(leadOf(ctx, ancestor)).tags;
    item.Tags = tags.length > 0 ? tags : null;
    ancestor = ancestor.parent ? ctx.metadata.images.get(ancestor.parent) : undefined;
  }
  return items;
}

type MutableItem = { -readonly [K in keyof HistoryItem]: HistoryItem[K] };

function historyItems(ctx: EngineContext, config: ImageConfig): MutableItem[] {
  const layers = [...config.rootfs.diff_ids];
  const items = (config.history ?? []).map((entry): MutableItem => {
    const layer = entry.empty_layer ? undefined : layers.shift();
    return {
      Comment: entry.comment ?? '',
      Created: entry.created === undefined ? 0 : Math.floor(Date.parse(entry.created) / 1000),
      CreatedBy: entry.created_by ?? '',
      Id: '<missing>',
      Size: layer === undefined ? 0 : (ctx.metadata.layers.get(layer)?.sizeBytes ?? 0),
      Tags: null,
    };
  });
  return items.reverse();
}
