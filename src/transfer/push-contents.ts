import { EngineError } from '#errdefs';
import { maxConfigBytes, readDocument, requireSameLength } from '#image';
import type { ImageRecord } from '#metadata';
import { type Descriptor, type DiffID, type Digest, maxManifestBytes, parseConfig, parseTarget } from '#oci';
import type { Reference } from '#reference';
import { type ByteSource, fromBytes } from '#streams';
import { isCompressed } from './push-candidates.ts';
import { type PushCall, pushLayers } from './push-layers.ts';
import { manifestFor, type PushedManifest } from './push-manifest.ts';
import { retryText } from './retry-text.ts';

/** A manifest's layers and config; answers the manifest that fits them. */
export async function pushContents(
  call: PushCall,
  descriptor: Descriptor,
  image: ImageRecord,
): Promise<PushedManifest> {
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
  const isPulled = cameFromRegistry(image);
  const isOriginal = isPulled || manifest.layers.some(isCompressed);
  const layers = manifest.layers.map((layer, position) => {
    const diffID = diffIDs[position]!;
    // An archive's manifest may name a form of the layer that was not in it: its word is not believed.
    return { descriptor: layer, diffID, isOriginal: isOriginal && (isPulled || wasSeen(call, diffID, layer)) };
  });
  const pushed = await pushLayers({ ...call, imageID: image.id }, layers);
  const { digest } = manifest.config;
  await pushDocument(call, { digest, sizeBytes: config.length, open: () => fromBytes(config) });
  return manifestFor({ manifest, mediaType, bytes, isOriginal }, pushed);
}

/** A small blob that stays as it is. */
export async function pushDocument(
  { stores, reference, auth, signal, ...call }: PushCall,
  blob: { readonly digest: Digest; readonly sizeBytes: number; readonly open: () => ByteSource },
): Promise<void> {
  await stores.registry.pushBlob(reference, blob, { auth, signal, onRetry: tellPause(call) });
}

/** A manifest others may know by its digest. */
function cameFromRegistry({ repoDigests, targets }: ImageRecord): boolean {
  return targets.some((target) => repoDigests.some((name) => name.endsWith(`@${target}`)));
}

function wasSeen({ stores }: PushCall, diffID: DiffID, { digest }: Descriptor): boolean {
  if (digest === diffID) return true;
  return stores.metadata.layers.origins(diffID).some(({ descriptor }) => descriptor.digest === digest);
}

export async function putManifest(call: PushCall, reference: Reference, manifest: PushedManifest): Promise<Descriptor> {
  const { auth, signal } = call;
  const { mediaType, bytes } = manifest;
  const digest = await call.stores.registry.putManifest(reference, manifest, {
    auth,
    signal,
    onRetry: tellPause(call),
  });
  return { mediaType, digest, size: bytes.length };
}

function tellPause({ onProgress }: Pick<PushCall, 'onProgress'>): (delayMs: number, why: Error) => void {
  return (delayMs, why) => onProgress({ status: retryText(delayMs, why) });
}
