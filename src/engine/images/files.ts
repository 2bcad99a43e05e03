import type { ByteStream, CallOptions, ImageFile, ImageFileFacts, ListFilesOptions } from '#api-types';
import { bytesFromUtf8 } from '#archive';
import { describeFile, type ImageTree, listFiles, openImageTree, readFileOf } from '#image-files';
import type { EngineContext } from '../context.ts';
import { resolveImage } from './resolve.ts';

/** `GET /wherry/v1/images/{name}/files`. */
export async function* imageFiles(
  ctx: EngineContext,
  name: string,
  options: ListFilesOptions & CallOptions = {},
): AsyncGenerator<ImageFile> {
  using tree = await openTree(ctx, name, options);
  yield* listFiles(tree, options);
}

/** `GET /wherry/v1/images/{name}/file`. */
export async function imageFile(
  ctx: EngineContext,
  name: string,
  path: string,
  options: CallOptions = {},
): Promise<{ readonly file: ImageFileFacts; readonly content: ByteStream }> {
  using tree = await openTree(ctx, name, options);
  const found = tree.find(bytesFromUtf8(path), { follow: true });
  readFileOf(ctx.content, tree, found);
  const { mode, uid, gid, sizeBytes, modified, layer } = describeFile(tree, found);
  const file = { mode, uid, gid, sizeBytes, modified, layer };
  return { file, content: contentOf(ctx, name, path, options) };
}

/** Opens its own view, so that a content nobody reads holds nothing. */
async function* contentOf(ctx: EngineContext, name: string, path: string, options: CallOptions): ByteStream {
  using tree = await openTree(ctx, name, options);
  for await (const chunk of readFileOf(ctx.content, tree, tree.find(bytesFromUtf8(path), { follow: true }))) {
    options.signal?.throwIfAborted();
    yield chunk;
  }
}

export async function openTree(ctx: EngineContext, name: string, { signal }: CallOptions): Promise<ImageTree> {
  const { diffIDs } = resolveImage(ctx, name);
  return openImageTree({ name, chain: diffIDs, indexes: await ctx.snapshots.layerIndexes(diffIDs, { signal }) });
}
