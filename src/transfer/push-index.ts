import { isKind } from '#errdefs';
import {
  type Attestation,
  attestationBlobs,
  chooseMember,
  indexEntries,
  presentAttestations,
  readDocument,
  resolveTarget,
} from '#image';
import type { ImageRecord } from '#metadata';
import { type Descriptor, digestOf, isManifest, maxManifestBytes, mediaTypes, type Platform, parseTarget } from '#oci';
import { pushContents, pushDocument, putManifest } from './push-contents.ts';
import type { PushCall } from './push-layers.ts';
import type { PushedManifest } from './push-manifest.ts';

/** A platform of an index that is here whole. */
export interface PresentPlatform {
  /** As the index names it. */
  readonly descriptor: Descriptor;
  readonly image: ImageRecord;
}

/** The platforms of an index that are here whole, in its order. */
export async function presentPlatforms(
  { stores }: Pick<PushCall, 'stores'>,
  target: Descriptor,
): Promise<readonly PresentPlatform[]> {
  const found: PresentPlatform[] = [];
  for (const { descriptor, kind, manifest } of await indexEntries(stores.content, target)) {
    const image = kind === 'image' && manifest && stores.metadata.images.get(manifest.config.digest);
    if (image && (await isHere(stores, descriptor))) found.push({ descriptor, image });
  }
  return found;
}

/** The one that is meant by a platform, or by none. */
export function choosePresent(
  present: readonly PresentPlatform[],
  wanted: Platform | undefined,
  host: Platform,
): PresentPlatform | undefined {
  const offered = present.map(({ descriptor, image }) => ({
    ...image,
    manifest: descriptor,
    ...(descriptor.platform?.os ? { platform: descriptor.platform } : {}),
  }));
  const chosen = chooseMember(offered, wanted, host);
  return chosen && present[offered.indexOf(chosen)];
}

/**
 * The index after its children, when every one of them is here: as it is, or over the manifests that children made here have there, as their layers go
 * compressed. `undefined` where one that came from elsewhere, or that an attestation is about, would have to change; then nothing but blobs may have gone to
 * the registry.
 */
export async function pushIndex(
  call: PushCall,
  target: Descriptor,
  present: readonly PresentPlatform[],
): Promise<Descriptor | undefined> {
  const { content } = call.stores;
  const bytes = await readDocument(content, target.digest, maxManifestBytes, 'index');
  const document = parseTarget(bytes, target.mediaType || undefined);
  const attestations = await presentAttestations(content, target);
  const here = new Set([...present, ...attestations].map(({ descriptor }) => descriptor.digest));
  if (document.kind !== 'index' || !areAllHere(document.index.manifests, here)) return undefined;
  const { domain, path } = call.reference;
  const children: Descriptor[] = [];
  for (const child of document.index.manifests) {
    const image = present.find(({ descriptor }) => descriptor.digest === child.digest)?.image;
    const attestation = attestations.find(({ descriptor }) => descriptor.digest === child.digest);
    const pushed = image ? await pushContents(call, child, image) : await pushAttestation(call, attestation!);
    const digest = digestOf(pushed.bytes);
    if (digest !== child.digest && (pushed.isChanged || attestations.length > 0)) return undefined;
    await putManifest(call, { domain, path, digest }, pushed);
    children.push({ ...child, mediaType: pushed.mediaType, digest, size: pushed.bytes.length });
  }
  const isKept = children.every(({ digest }, at) => digest === document.index.manifests[at]!.digest);
  const index = isKept ? { mediaType: document.mediaType, bytes } : indexOver(children);
  return await putManifest(call, call.reference, { ...index, isChanged: false });
}

/** In the family of its children, so that every registry takes it. */
function indexOver(manifests: readonly Descriptor[]): { mediaType: string; bytes: Buffer } {
  const isDocker = manifests.every(({ mediaType }) => mediaType === mediaTypes.dockerManifest);
  const mediaType = isDocker ? mediaTypes.dockerManifestList : mediaTypes.ociIndex;
  return { mediaType, bytes: Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, manifests })) };
}

/** Its blobs are as they came. */
async function pushAttestation(call: PushCall, { descriptor, manifest }: Attestation): Promise<PushedManifest> {
  for (const { digest, size } of attestationBlobs(manifest)) {
    await call.lease.add(digest);
    await pushDocument(call, { digest, sizeBytes: size, open: () => call.stores.content.open(digest) });
  }
  const bytes = await readDocument(call.stores.content, descriptor.digest, maxManifestBytes, 'manifest');
  return { mediaType: descriptor.mediaType, bytes, isChanged: false };
}

function areAllHere(manifests: readonly Descriptor[], here: ReadonlySet<string>): boolean {
  return manifests.every(({ mediaType, digest }) => isManifest(mediaType) && here.has(digest));
}

/** The image behind a manifest with all its layers. What is no image (an attestation, say) is not. */
async function isHere({ content }: PushCall['stores'], descriptor: Descriptor): Promise<boolean> {
  try {
    const { diffIDs } = await resolveTarget(content, descriptor, undefined);
    const found = await Promise.all(diffIDs.map((diffID) => content.stat(diffID)));
    return found.every((blob) => blob !== undefined);
  } catch (error) {
    if (isKind(error, 'not-found') || isKind(error, 'invalid-argument')) return false;
    throw error;
  }
}
