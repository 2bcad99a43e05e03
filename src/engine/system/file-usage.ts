import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { CallOptions, FileUsage, FileUsageOptions } from '#api-types';
import { isErrno } from '#errdefs';
import { type FoundUsage, sharedBefore, type UsageLayer, walkInThread } from '#image-files';
import { type DiffID, digestHex } from '#oci';
import type { EngineContext } from '../context.ts';
import { familiarNames } from '../images/list.ts';

const defaultGroups = 20;
/** Images named of each file. */
const maxImages = 3;

/** `GET /wherry/v1/files`. */
export async function fileUsage(ctx: EngineContext, options: FileUsageOptions & CallOptions = {}): Promise<FileUsage> {
  const images = imagesByLayer(ctx);
  const layers = [...images.keys()].map((diffID) => usageLayer(ctx, diffID));
  const job = { kind: 'duplicates', layers, maxGroups: options.groups ?? defaultGroups } as const;
  await dropStrayLists(ctx);
  const [found] = await Array.fromAsync(walkInThread<FoundUsage>(job, options));
  const groups = found!.groups.map(({ files, ...group }) => ({
    ...group,
    files: files.map((file) => ({ ...file, images: images.get(file.layer)!.slice(0, maxImages) })),
  }));
  return { ...found!, sharedBytes: ctx.sharing.isOn ? sharedBytesOf(layers) : null, groups };
}

/** Blocks that layers of images were found to have in common when they were looked at. */
function sharedBytesOf(layers: readonly UsageLayer[]): number {
  return layers.reduce((sum, layer) => sum + (sharedBefore(layer) ?? 0), 0);
}

export function usageLayer(ctx: EngineContext, diffID: DiffID): UsageLayer {
  return { diffID, tar: ctx.content.path(diffID), list: join(listFolder(ctx), digestHex(diffID)) };
}

/** What was found out of layers once; lost, it is found out again. */
const listFolder = (ctx: EngineContext) => join(ctx.root, 'layer-files');

/** Lists of layers that are gone. */
export async function dropStrayLists(ctx: EngineContext): Promise<void> {
  const known = new Set(ctx.metadata.layers.list().map(({ diffID }) => digestHex(diffID)));
  for (const name of await names(listFolder(ctx)))
    if (!known.has(name.split('.')[0]!)) await rm(join(listFolder(ctx), name), { force: true });
}

async function names(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return [];
    throw error;
  }
}

/** The images of each layer, as people call them. */
function imagesByLayer(ctx: EngineContext): Map<DiffID, string[]> {
  const layers = new Map<DiffID, string[]>();
  for (const image of ctx.metadata.images.list()) {
    const { tags } = familiarNames(image);
    const name = tags[0] ?? image.id;
    for (const layer of new Set(image.diffIDs)) {
      const known = layers.get(layer);
      if (!known) layers.set(layer, [name]);
      // Names say more than the IDs of what a build went through.
      else if (tags.length > 0) known.unshift(name);
      else known.push(name);
    }
  }
  return layers;
}
