import type { Compression } from '#diff';
import { EngineError } from '#errdefs';
import { targetOfName } from '#image';
import type { ImageRecord, Lease } from '#metadata';
import { type Descriptor, isIndex, type Platform } from '#oci';
import { familiarName, familiarString, formatReference, fullName, parseReference, type Reference } from '#reference';
import type { RegistryAuth } from '#registry';
import { pushContents, putManifest } from './push-contents.ts';
import { choosePresent, type PresentPlatform, presentPlatforms, pushIndex } from './push-index.ts';
import type { PushCall } from './push-layers.ts';
import type { OnProgress, TransferredImage, TransferStores } from './types.ts';

export interface PushOptions {
  readonly auth?: RegistryAuth | undefined;
  /** Of an index: this platform's image alone. Left out: the whole index when all of it is here, else the image's own platform. */
  readonly platform?: Platform | undefined;
  /** How layers that have to be compressed are. Those of an image that came from elsewhere stay as its manifest names them, where they can be had. */
  readonly compression?: Compression | undefined;
  readonly onProgress: OnProgress;
  readonly signal?: AbortSignal | undefined;
}

/** What went to the registry. */
export interface PushedImage extends TransferredImage {
  /** The tag's target there. */
  readonly target: Descriptor;
}

/**
 * Pushes the image a tag names, under that tag. Layers that the registry has, or can mount, are not sent. Afterwards the image has the digest as a
 * repo digest, and a second push moves nothing. Progress is dockerd's, line by line.
 *
 * @throws `not-found` when no such image is here; RegistryError in Docker's words.
 */
export async function pushImage(
  stores: TransferStores,
  reference: Reference,
  options: PushOptions,
): Promise<PushedImage> {
  tellRepository(reference, options.onProgress);
  if (reference.digest || !reference.tag) {
    throw new EngineError('invalid-argument', 'cannot push a digest reference');
  }
  requireNames(stores, reference);
  const image = stores.metadata.images.byName(formatReference(reference));
  if (!image) throw new EngineError('not-found', `tag does not exist: ${familiarString(reference)}`);
  return await pushOne(stores, reference, image, options);
}

/** Pushes an image under a name that it need not have here. It is none of its names afterwards, and its digest there none of its own. */
export async function pushCopy(
  stores: TransferStores,
  reference: Reference,
  image: ImageRecord,
  options: PushOptions,
): Promise<PushedImage> {
  if (reference.digest || !reference.tag) {
    throw new EngineError('invalid-argument', 'cannot push a digest reference');
  }
  return await pushOne(stores, reference, image, { ...options, isCopy: true });
}

/** Pushes every tag of the repository that is here. */
export async function pushAllTags(
  stores: TransferStores,
  reference: Reference,
  options: PushOptions,
): Promise<readonly PushedImage[]> {
  tellRepository(reference, options.onProgress);
  const pushed: PushedImage[] = [];
  for (const name of requireNames(stores, reference)) {
    const image = stores.metadata.images.byName(name);
    if (image) pushed.push(await pushOne(stores, parseReference(name), image, options));
  }
  return pushed;
}

function tellRepository(reference: Reference, onProgress: OnProgress): void {
  onProgress({ status: `The push refers to repository [${fullName(reference)}]` });
}

/** The repository's tags that are here, sorted. */
function requireNames(stores: TransferStores, reference: Reference): readonly string[] {
  const prefix = `${fullName(reference)}:`;
  const names = stores.metadata.images.list().flatMap((image) => image.names.filter((name) => name.startsWith(prefix)));
  if (names.length > 0) return names.sort();
  throw new EngineError('not-found', `An image does not exist locally with the tag: ${familiarName(reference)}`);
}

/** Lease, choose, layers, config, manifest, remember. */
async function pushOne(
  stores: TransferStores,
  reference: Reference,
  image: ImageRecord,
  options: PushOptions & { readonly isCopy?: boolean },
): Promise<PushedImage> {
  const { auth, signal, onProgress, platform, compression, isCopy } = options;
  const source = targetOfName(image, formatReference(reference));
  await using lease: Lease = await stores.metadata.lease();
  const present = isIndex(source.mediaType) ? await presentPlatforms({ stores }, source) : [];
  const images = [image, ...present.map((one) => one.image)];
  await lease.add(
    source.digest,
    ...new Set(images.flatMap(({ id, manifest, diffIDs }) => [id, manifest.digest, ...diffIDs])),
    ...present.map(({ descriptor }) => descriptor.digest),
  );
  const call: PushCall = { stores, reference, imageID: image.id, lease, auth, signal, onProgress, compression };
  const whole = platform || present.length === 0 ? undefined : await pushIndex(call, source, present);
  const chosen = choosePresent(present, platform, stores.platform) ?? { descriptor: image.manifest, image };
  if (!whole && !platform && present.length > 1) tellReplaced(source, chosen.descriptor, onProgress);
  const target = whole ?? (await pushTagged(call, chosen));
  const tag = reference.tag!;
  onProgress({ status: `${tag}: digest: ${target.digest} size: ${target.size}` });
  const pushed = whole ? present.map((one) => one.image.id) : [chosen.image.id];
  for (const id of isCopy ? [] : pushed)
    await stores.metadata.images.addRepoDigest(id, `${fullName(reference)}@${target.digest}`);
  onProgress({ progressDetail: {}, aux: { Tag: tag, Digest: target.digest, Size: target.size } });
  return { id: chosen.image.id, names: [formatReference(reference)], target };
}

/** dockerd's word for it: its client shows which manifest went instead of which index. */
function tellReplaced(originalIndex: Descriptor, selectedManifest: Descriptor, onProgress: OnProgress): void {
  onProgress({ progressDetail: {}, aux: { manifestPushedInsteadOfIndex: true, originalIndex, selectedManifest } });
}

async function pushTagged(call: PushCall, { descriptor, image }: PresentPlatform): Promise<Descriptor> {
  const pushed = await pushContents(call, descriptor, image);
  if (pushed.isChanged) {
    call.onProgress({ status: 'Layers were compressed anew: the digest of the manifest differs from the one pulled' });
  }
  return await putManifest(call, call.reference, pushed);
}
