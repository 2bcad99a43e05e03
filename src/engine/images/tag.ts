import { EngineError } from '#errdefs';
import type { ImageRecord } from '#metadata';
import { type Descriptor, isIndex } from '#oci';
import {
  familiarName,
  familiarString,
  formatReference,
  parseReference,
  type Reference,
  withDefaultTag,
  withTag,
} from '#reference';
import type { EngineContext } from '../context.ts';
import { leadOf, targetOf } from './platforms.ts';
import { resolveImage } from './resolve.ts';

/** `repo` and `tag` of the API as one reference. @throws `invalid-argument` for a digest or a bad tag. */
export function targetReference(repo: string, tag: string | undefined): Reference {
  const reference = parseReference(repo);
  if (reference.digest !== undefined)
    throw new EngineError('invalid-argument', 'refusing to create a tag with a digest reference');
  if (tag === undefined || tag === '') return withDefaultTag(reference);
  return withTag(reference, tag);
}

/** Points a name at an image; an image that had the name before keeps its other names. `action` is what an undo is told of. */
export async function tagImage(
  ctx: EngineContext,
  source: string,
  repo: string,
  tag?: string,
  action: 'tag' | 'build' = 'tag',
): Promise<void> {
  const reference = targetReference(repo, tag);
  if (familiarName(reference) === 'sha256') {
    const message = 'refusing to create an ambiguous tag using digest algorithm as name';
    throw new EngineError('invalid-argument', message);
  }
  const image = resolveImage(ctx, source);
  const name = familiarString(reference);
  const keep = ctx.metadata.journal.keeping(action, name);
  await ctx.metadata.images.tag(image.id, formatReference(reference), keep, taggedTarget(ctx, image, source));
  ctx.events.emit({ type: 'image', action: 'tag', id: image.id, attributes: { ...image.labels, name } });
}

/** The index that the source is a name of goes with it; the ID of one platform among others means that platform alone. */
function taggedTarget(ctx: EngineContext, image: ImageRecord, source: string): Descriptor | undefined {
  if (leadOf(ctx, image) !== image) return image.manifest;
  const target = targetOf(image, source);
  return isIndex(target.mediaType) || target.digest !== image.target.digest ? target : undefined;
}
