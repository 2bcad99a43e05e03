import { EngineError } from '#errdefs';
import { chooseMember, targetOfName } from '#image';
import type { ImageRecord } from '#metadata';
import type { Digest } from '#oci';
import { familiarString, formatReference, parseAnyReference, withDefaultTag } from '#reference';
import type { EngineContext } from '../context.ts';

/**
 * The image a user means: `name[:tag]`, `name@digest`, an ID or its unique prefix, with or without `sha256:`. A prefix of several means none, as with dockerd.
 * @throws `not-found` with Docker's `No such image: …`; `invalid-argument` for what is no reference.
 */
export function resolveImage(ctx: EngineContext, name: string): ImageRecord {
  const found = findImage(ctx, name);
  if (!found) throw new EngineError('not-found', `No such image: ${displayName(name)}`);
  return found;
}

/** Like {@link resolveImage}, `undefined` when there is none. */
export function findImage(ctx: EngineContext, name: string): ImageRecord | undefined {
  const images = ctx.metadata.images;
  const hex = /^(?:sha256:)?([0-9a-f]{1,64})$/.exec(name)?.[1];
  if (hex?.length === 64) return images.byPrefix(hex)[0] ?? findByTargetDigest(ctx, hex);
  if (!name.startsWith('sha256:')) {
    const byName = findByName(ctx, name);
    if (byName) return byName;
  }
  if (hex === undefined) return undefined;
  const [match, ...others] = images.byPrefix(hex);
  // The name of an image elsewhere may look like the beginning of an ID.
  return others.length > 0 ? undefined : match;
}

function findByTargetDigest(ctx: EngineContext, hex: string): ImageRecord | undefined {
  const found = ctx.metadata.images.list().find((image) => image.target.digest === `sha256:${hex}`);
  return found && bestOf(ctx, found, found.target.digest);
}

function findByName(ctx: EngineContext, name: string): ImageRecord | undefined {
  const parsed = parseAnyReference(name);
  if (parsed.kind === 'id') return undefined;
  const reference = parsed.reference;
  const images = ctx.metadata.images;
  if (reference.digest === undefined) return images.byName(formatReference(withDefaultTag(reference)));
  const found = images.byRepoDigest(`${reference.domain}/${reference.path}@${reference.digest}`);
  return found && bestOf(ctx, found, reference.digest);
}

/** Of an index by its digest: the one that has its names, else the platform of this machine. */
function bestOf(ctx: EngineContext, found: ImageRecord, digest: Digest): ImageRecord {
  const members = ctx.metadata.images.members(digest);
  const isNamed = (member: ImageRecord) => member.names.some((name) => targetOfName(member, name).digest === digest);
  return members.find(isNamed) ?? chooseMember(members, undefined, ctx.platform) ?? found;
}

function displayName(name: string): string {
  if (/^[0-9a-f]{64}$/.test(name)) return `sha256:${name}`;
  if (name.startsWith('sha256:')) return name;
  const parsed = parseAnyReference(name);
  return parsed.kind === 'id' ? name : familiarString(withDefaultTag(parsed.reference));
}
