import { EngineError } from '#errdefs';
import { chooseMember, indexesOf, platformOf, readKnownConfig, targetOfName } from '#image';
import type { ImageRecord } from '#metadata';
import { type Descriptor, type Digest, formatPlatform, isIndex, type Platform, parsePlatform } from '#oci';
import { formatReference, parseAnyReference, withDefaultTag } from '#reference';
import type { EngineContext } from '../context.ts';
import { findImage, resolveImage } from './resolve.ts';

/**
 * An index whose platforms are here is shown as one image: the lead, which is the host's platform where that is here. It has the names; the
 * others are behind it, by the index that they share.
 */
interface Groups {
  readonly leads: ReadonlyMap<Digest, ImageRecord>;
  readonly behind: ReadonlyMap<Digest, readonly ImageRecord[]>;
}

const known = new WeakMap<readonly ImageRecord[], Groups>();

function groupsOf(ctx: EngineContext): Groups {
  const images = ctx.metadata.images.list();
  let groups = known.get(images);
  if (!groups) known.set(images, (groups = group(images, ctx.platform)));
  return groups;
}

function group(images: readonly ImageRecord[], host: Platform): Groups {
  const leadOf = leadsByIndex(images, host);
  const leads = new Map<Digest, ImageRecord>();
  const behind = new Map<Digest, ImageRecord[]>();
  if (leadOf.size === 0) return { leads, behind };
  for (const image of images) {
    if (image.names.length > 0) continue;
    const digest = image.targets.find((target) => leadOf.has(target));
    const lead = digest && leadOf.get(digest);
    if (!lead || lead.id === image.id) continue;
    leads.set(image.id, lead);
    const others = behind.get(lead.id);
    if (others) others.push(image);
    else behind.set(lead.id, [image]);
  }
  return { leads, behind };
}

/** By index: the image with its names; of an index without names the best of its platforms. */
function leadsByIndex(images: readonly ImageRecord[], host: Platform): Map<Digest, ImageRecord> {
  const leads = new Map<Digest, ImageRecord>();
  const nameless = new Map<Digest, ImageRecord[]>();
  for (const image of images) {
    for (const { digest } of indexesOf(image)) {
      if (image.names.length > 0) leads.set(digest, image);
      else if (nameless.has(digest)) nameless.get(digest)!.push(image);
      else nameless.set(digest, [image]);
    }
  }
  for (const [digest, members] of nameless) {
    const lead = leads.has(digest) ? undefined : chooseMember(members, undefined, host);
    if (lead) leads.set(digest, lead);
  }
  return leads;
}

/** The image that stands for this one in lists; itself unless it is another platform of an index that is shown. */
export function leadOf(ctx: EngineContext, image: ImageRecord): ImageRecord {
  return groupsOf(ctx).leads.get(image.id) ?? image;
}

/** The other platforms that are here of what this image is shown for. */
export function imagesBehind(ctx: EngineContext, lead: ImageRecord): readonly ImageRecord[] {
  return groupsOf(ctx).behind.get(lead.id) ?? [];
}

/** What a name that led to an image points at: an index, or one manifest. */
export function targetOf(image: ImageRecord, name: string): Descriptor {
  const parsed = parseAnyReference(name);
  if (parsed.kind === 'id') return image.target;
  const { digest } = parsed.reference;
  if (digest === undefined) return targetOfName(image, formatReference(withDefaultTag(parsed.reference)));
  return Object.values(image.nameTargets).find((target) => target.digest === digest) ?? image.target;
}

/** The platforms that are here of what a name means; of an ID that is shown for no index the image alone. */
export function platformsOf(ctx: EngineContext, image: ImageRecord, name: string): readonly ImageRecord[] {
  const target = targetOf(image, name);
  if (!isIndex(target.mediaType) || leadOf(ctx, image) !== image) return [image];
  const members = ctx.metadata.images.members(target.digest);
  return members.some(({ id }) => id === image.id) ? members : [image];
}

/**
 * The image a user means by a name and perhaps a platform.
 * @throws `not-found` with Docker's words, for the name and for the platform.
 */
export async function resolveForPlatform(
  ctx: EngineContext,
  name: string,
  platform: string | undefined,
): Promise<ImageRecord> {
  const image = resolveImage(ctx, name);
  if (platform === undefined || platform === '') return image;
  const wanted = parsePlatform(platform);
  const members = await Promise.all(platformsOf(ctx, image, name).map((member) => withPlatform(ctx, member)));
  const found = chooseMember(members, wanted, ctx.platform);
  if (found) return ctx.metadata.images.get(found.id) ?? image;
  throw new EngineError('not-found', mismatch(name, members, wanted));
}

/** The image for a platform when a name's index has it and it is here; a single manifest has nothing to choose from. */
export async function platformOfIndex(
  ctx: EngineContext,
  name: string,
  platform: string | undefined,
): Promise<ImageRecord | undefined> {
  const image = findImage(ctx, name);
  if (!image || !platform || !isIndex(targetOf(image, name).mediaType)) return undefined;
  const members = await Promise.all(platformsOf(ctx, image, name).map((member) => withPlatform(ctx, member)));
  return chooseMember(members, parsePlatform(platform), ctx.platform);
}

/** Nothing of a name has to be pulled for a platform: it is here, or the name is of one manifest alone. */
export async function hasPlatform(ctx: EngineContext, name: string, platform: string | undefined): Promise<boolean> {
  const image = findImage(ctx, name);
  if (!image || !platform || !isIndex(targetOf(image, name).mediaType)) return image !== undefined;
  return (await platformOfIndex(ctx, name, platform)) !== undefined;
}

function mismatch(name: string, members: readonly ImageRecord[], wanted: Platform): string {
  const [only] = members;
  const fact =
    members.length === 1 && only?.platform
      ? `but its platform (${formatPlatform(only.platform)}) does not match the specified platform`
      : 'but does not provide the specified platform';
  return `image with reference ${name} was found ${fact} (${formatPlatform(wanted)})`;
}

/** Of a record from before platforms were noted its config tells. */
async function withPlatform(ctx: EngineContext, image: ImageRecord): Promise<ImageRecord> {
  if (image.platform) return image;
  return { ...image, platform: platformOf(await readKnownConfig(ctx.content, image.id)) };
}
