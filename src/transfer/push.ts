import { EngineError, isKind } from '#errdefs';
import { readDocument, requireSameLength, resolveTarget } from '#image';
import type { ImageRecord, Lease } from '#metadata';
import {
  type Descriptor,
  digestOf,
  isManifest,
  type Manifest,
  maxConfigBytes,
  maxManifestBytes,
  type Platform,
  parseConfig,
  parseTarget,
} from '#oci';
import { familiarName, familiarString, formatReference, fullName, parseReference, type Reference } from '#reference';
import type { RegistryAuth } from '#registry';
import { fromBytes } from '#streams';
import { isCompressed } from './push-candidates.ts';
import { type PushCall, pushLayers } from './push-layers.ts';
import { manifestFor, type PushedManifest } from './push-manifest.ts';
import type { OnProgress, TransferredImage, TransferStores } from './types.ts';

export interface PushOptions {
  readonly auth?: RegistryAuth | undefined;
  /** Of an index: this platform's image alone. Left out: the whole index when all of it is here, else the image's own platform. */
  readonly platform?: Platform | undefined;
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
  options: PushOptions,
): Promise<PushedImage> {
  const { auth, signal, onProgress, platform } = options;
  await using lease: Lease = await stores.metadata.lease();
  await lease.add(image.target.digest, image.manifest.digest, image.id, ...new Set(image.diffIDs));
  const call: PushCall = { stores, reference, imageID: image.id, lease, auth, signal, onProgress };
  const chosen = platform
    ? (await resolveTarget(stores.content, image.target, platform)).manifestDescriptor
    : image.manifest;
  const target = (platform ? undefined : await pushIndex(call, image)) ?? (await pushTagged(call, chosen, image));
  const tag = reference.tag!;
  onProgress({ status: `${tag}: digest: ${target.digest} size: ${target.size}` });
  await stores.metadata.images.addRepoDigest(image.id, `${fullName(reference)}@${target.digest}`);
  onProgress({ progressDetail: {}, aux: { Tag: tag, Digest: target.digest, Size: target.size } });
  return { id: image.id, names: [formatReference(reference)], target };
}

async function pushTagged(call: PushCall, manifest: Descriptor, image: ImageRecord): Promise<Descriptor> {
  const pushed = await pushContents(call, manifest, image);
  if (pushed.isChanged) {
    call.onProgress({ status: 'Layers were compressed anew: the digest of the manifest differs from the one pulled' });
  }
  return await putManifest(call, call.reference, pushed);
}

/** A manifest's layers and config; answers the manifest that fits them. */
async function pushContents(call: PushCall, descriptor: Descriptor, image: ImageRecord): Promise<PushedManifest> {
  const { content } = call.stores;
  const bytes = await readDocument(content, descriptor.digest, maxManifestBytes, 'manifest');
  const document = parseTarget(bytes, descriptor.mediaType || undefined);
  if (document.kind !== 'manifest') {
    throw new EngineError('invalid-argument', `push ${descriptor.digest}: it is not a manifest`);
  }
  const { manifest, mediaType } = document;
  const config = await readDocument(content, manifest.config.digest, maxConfigBytes, 'image config');
  const diffIDs = parseConfig(config).rootfs.diff_ids;
  requireSameLength(manifest.layers.length, diffIDs.length);
  const isOriginal = cameFromElsewhere(manifest, image);
  const layers = manifest.layers.map((layer, position) => ({
    descriptor: layer,
    diffID: diffIDs[position]!,
    isOriginal,
  }));
  const pushed = await pushLayers(call, layers);
  const { auth, signal, reference } = call;
  await call.stores.registry.pushBlob(
    reference,
    { digest: manifest.config.digest, sizeBytes: config.length, open: () => fromBytes(config) },
    { auth, signal },
  );
  return manifestFor({ manifest, mediaType, bytes, isOriginal }, pushed);
}

/** Pulled, or loaded with compressed layers: a manifest others may know by its digest. One made here names uncompressed layers. */
function cameFromElsewhere(manifest: Manifest, image: ImageRecord): boolean {
  const isPulled = image.repoDigests.some((name) => name.endsWith(`@${image.target.digest}`));
  return isPulled || manifest.layers.some(isCompressed);
}

async function putManifest(call: PushCall, reference: Reference, manifest: PushedManifest): Promise<Descriptor> {
  const { auth, signal } = call;
  const { mediaType, bytes } = manifest;
  const digest = await call.stores.registry.putManifest(reference, manifest, { auth, signal });
  return { mediaType, digest, size: bytes.length };
}

/** The index as it is, when every image it names is here and none of their manifests has to change; else `undefined`. */
async function pushIndex(call: PushCall, image: ImageRecord): Promise<Descriptor | undefined> {
  if (isManifest(image.target.mediaType)) return undefined;
  const { content } = call.stores;
  const bytes = await readDocument(content, image.target.digest, maxManifestBytes, 'index');
  const document = parseTarget(bytes, image.target.mediaType || undefined);
  if (document.kind !== 'index') return undefined;
  const { manifests } = document.index;
  if (!(await areAllHere(call, manifests))) return undefined;
  const { domain, path } = call.reference;
  for (const child of manifests) {
    const pushed = await pushContents(call, child, image);
    if (digestOf(pushed.bytes) !== child.digest) return undefined;
    await putManifest(call, { domain, path, digest: child.digest }, pushed);
  }
  return await putManifest(call, call.reference, { mediaType: document.mediaType, bytes, isChanged: false });
}

async function areAllHere(call: PushCall, manifests: readonly Descriptor[]): Promise<boolean> {
  for (const descriptor of manifests) {
    if (!isManifest(descriptor.mediaType) || !(await isHere(call, descriptor))) return false;
  }
  return true;
}

/** The image behind a manifest with all its layers. What is no image (an attestation, say) is not. */
async function isHere(call: PushCall, descriptor: Descriptor): Promise<boolean> {
  const { content } = call.stores;
  try {
    const { diffIDs } = await resolveTarget(content, descriptor, undefined);
    const found = await Promise.all(diffIDs.map((diffID) => content.stat(diffID)));
    return found.every((blob) => blob !== undefined);
  } catch (error) {
    if (isKind(error, 'not-found') || isKind(error, 'invalid-argument')) return false;
    throw error;
  }
}
