import type { CallOptions, CompareImagesOptions, ImageDifference } from '#api-types';
import { readKnownConfig } from '#image';
import { compareImageConfigs, type TreeSource, walkInThread } from '#image-files';
import type { EngineContext } from '../context.ts';
import { resolveImage } from './resolve.ts';

/** `GET /wherry/v1/images/{name}/compare`. */
export async function* compareImages(
  ctx: EngineContext,
  before: string,
  after: string,
  options: CompareImagesOptions & CallOptions = {},
): AsyncGenerator<ImageDifference> {
  const times = options.times ?? false;
  const [one, other] = [await treeSource(ctx, before, options), await treeSource(ctx, after, options)];
  const [ours, theirs] = await Promise.all(
    [before, after].map((name) => readKnownConfig(ctx.content, resolveImage(ctx, name).id)),
  );
  yield* compareImageConfigs(ours!, theirs!, times);
  yield* walkInThread<ImageDifference>({ kind: 'compare', before: one, after: other, times }, options);
}

/** An image as a thread that looks into it needs it. */
export async function treeSource(ctx: EngineContext, name: string, { signal }: CallOptions): Promise<TreeSource> {
  const { diffIDs } = resolveImage(ctx, name);
  const indexes = await ctx.snapshots.layerIndexes(diffIDs, { signal });
  return { name, chain: diffIDs, indexes, tars: diffIDs.map((diffID) => ctx.content.path(diffID)) };
}
