import type { ImageRecord } from '#metadata';
import type { Digest } from '#oci';
import type { EngineContext } from '../context.ts';
import { containerUsing } from './conflicts.ts';
import { imagesBehind, leadOf } from './platforms.ts';

/** What a prune of all images without containers would remove: the same walk, without removing. */
export function prunableImages(ctx: EngineContext): ReadonlySet<Digest> {
  const gone = new Set<Digest>();
  const hasChildren = ({ id }: ImageRecord) => ctx.metadata.images.childrenOf(id).some((child) => !gone.has(child));
  for (const image of ctx.metadata.images.list()) {
    if (
      gone.has(image.id) ||
      leadOf(ctx, image) !== image ||
      containerUsing(ctx, image) !== undefined ||
      hasChildren(image)
    )
      continue;
    gone.add(image.id);
    for (const { id } of imagesBehind(ctx, image)) if (ctx.metadata.images.childrenOf(id).length === 0) gone.add(id);
    for (let parent = parentOf(ctx, image); parent && !gone.has(parent.id); parent = parentOf(ctx, parent)) {
      const isNamed = parent.names.length + parent.repoDigests.length > 0;
      if (isNamed || hasChildren(parent) || containerUsing(ctx, parent) !== undefined) break;
      gone.add(parent.id);
    }
  }
  return gone;
}

function parentOf(ctx: EngineContext, { parent }: ImageRecord): ImageRecord | undefined {
  return parent === undefined ? undefined : ctx.metadata.images.get(parent);
}
