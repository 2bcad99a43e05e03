import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { AuthConfig } from '#api-types';
import { Views } from '#builder';
import type { ExportedFiles } from '#buildkit';
import { cleanup } from '#concurrency';
import { EngineError } from '#errdefs';
import type { ImageRecord } from '#metadata';
import type { Descriptor, Digest } from '#oci';
import { parseReference, withDefaultTag } from '#reference';
import {
  type Layout,
  type LayoutWish,
  layOut,
  type OnProgress,
  type PushOptions,
  pushCopy,
  pushImage,
} from '#transfer';
import type { EngineContext } from './context.ts';
import { storesOf } from './images/transfers.ts';

/** The files of an image, mounted read-only until the disposal. */
export async function exportedFiles(ctx: EngineContext, id: Digest, signal: AbortSignal): Promise<ExportedFiles> {
  const chain = imageOf(ctx, id).diffIDs;
  const views = new Views(ctx.snapshots);
  return {
    tree: await views.tree(chain, { signal }),
    [Symbol.asyncDispose]: () => views[Symbol.asyncDispose](),
  };
}

/** Images as a layout of files, with compressed layers in a folder of its own until the disposal. */
export async function exportedLayout(
  ctx: EngineContext,
  ids: readonly Digest[],
  wish: LayoutWish,
): Promise<Layout & AsyncDisposable> {
  const folder = await mkdtemp(join(ctx.root, 'tmp', 'build-'));
  ctx.buildFolders.add(folder);
  const dispose = async () => {
    await cleanup('exported layers', () => rm(folder, { recursive: true, force: true }));
    ctx.buildFolders.delete(folder);
  };
  try {
    const images = ids.map((id) => imageOf(ctx, id));
    return { ...(await layOut(storesOf(ctx), images, { ...wish, folder })), [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

/** Pushes a name of the store; answers what the tag names there. */
export async function pushBuilt(
  ctx: EngineContext,
  name: string,
  options: Pick<PushOptions, 'compression'> & { auth?: AuthConfig; onProgress: OnProgress; signal: AbortSignal },
): Promise<Descriptor> {
  const { target } = await pushImage(storesOf(ctx), withDefaultTag(parseReference(name)), options);
  return target;
}

/** Pushes an image as a cache for others. */
export async function pushCache(
  ctx: EngineContext,
  id: Digest,
  name: string,
  options: Pick<PushOptions, 'compression'> & { auth?: AuthConfig; onProgress: OnProgress; signal: AbortSignal },
): Promise<Descriptor> {
  const reference = withDefaultTag(parseReference(name));
  return (await pushCopy(storesOf(ctx), reference, imageOf(ctx, id), options)).target;
}

function imageOf(ctx: EngineContext, id: Digest): ImageRecord {
  const image = ctx.metadata.images.get(id);
  if (!image) throw new EngineError('not-found', `No such image: ${id}`);
  return image;
}
