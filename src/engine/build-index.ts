import { EngineError } from '#errdefs';
import { chooseMember } from '#image';
import type { ImageRecord } from '#metadata';
import { type Descriptor, type Digest, digestOf, mediaTypes } from '#oci';
import { familiarString, formatReference } from '#reference';
import type { EngineContext } from './context.ts';
import { targetReference } from './images/tag.ts';

/** An index over images that were built for several platforms. They stay images of their own; the index is one of what they came by. */
export async function indexBuilt(ctx: EngineContext, ids: readonly Digest[]): Promise<Descriptor> {
  const { content, metadata } = ctx;
  const images = ids.map((id) => imageOf(ctx, id));
  const manifests = images.map(({ manifest: { mediaType, digest, size }, platform }) => ({
    ...{ mediaType, digest, size },
    ...(platform ? { platform } : {}),
  }));
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests }));
  const index = { mediaType: mediaTypes.ociIndex, digest: digestOf(bytes), size: bytes.length };
  await using lease = await metadata.lease();
  await lease.add(index.digest);
  await content.put(bytes);
  for (const { id } of images) await metadata.images.addIndex(id, index.digest);
  return index;
}

/** Points a name at the index: its image for this machine has it, else the last. */
export async function tagIndex(ctx: EngineContext, index: Descriptor, name: string): Promise<void> {
  const reference = targetReference(name, undefined);
  const lead = chooseMember(ctx.metadata.images.members(index.digest), undefined, ctx.platform);
  if (!lead) throw new EngineError('not-found', `No such image: ${index.digest}`);
  const shown = familiarString(reference);
  const keep = ctx.metadata.journal.keeping('build', shown);
  await ctx.metadata.images.tag(lead.id, formatReference(reference), keep, index);
  ctx.events.emit({ type: 'image', action: 'tag', id: lead.id, attributes: { ...lead.labels, name: shown } });
}

function imageOf(ctx: EngineContext, id: Digest): ImageRecord {
  const image = ctx.metadata.images.get(id);
  if (!image) throw new EngineError('not-found', `No such image: ${id}`);
  return image;
}
