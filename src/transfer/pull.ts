import { cleanup } from '#concurrency';
import { EngineError } from '#errdefs';
import { describeImage, type ImageDescription, platformOf, targetOfName } from '#image';
import { formatPlatform, type Platform, platformRank } from '#oci';
import { familiarName, familiarString, formatReference, fullName, type Reference, withTag } from '#reference';
import type { RegistryAuth } from '#registry';
import { holderOf } from './name-holder.ts';
import { fetchAttestations } from './pull-attestations.ts';
import { fetchConfig, fetchManifest, fetchTarget, type PullCall } from './pull-documents.ts';
import { pullLayers, retainedLayers } from './pull-layers.ts';
import { mayGoOn } from './pull-part.ts';
import { retryText } from './retry-text.ts';
import type { OnProgress, TransferredImage, TransferStores } from './types.ts';

export interface PullOptions {
  /** Left out: the engine's own, without a word when the image is for another. */
  readonly platform?: Platform;
  readonly auth?: RegistryAuth | undefined;
  readonly onProgress: OnProgress;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Pulls one image. A tag moves to it; a reference with a digest adds no tag, as in Docker. Progress is dockerd's, line by line.
 * A failure that may pass, or an abort, leaves what has arrived for another try, for a day; any other leaves nothing.
 *
 * @throws `not-found`, `permission-denied`, RegistryError in Docker's words; `data-loss` for bytes that are not what their digest says.
 */
export async function pullImage(
  stores: TransferStores,
  reference: Reference,
  options: PullOptions,
): Promise<TransferredImage> {
  const { image, isNew, warning } = await pullOne(stores, reference, options);
  tellStatus(options.onProgress, familiarString(reference), isNew);
  if (warning) options.onProgress({ status: warning });
  return image;
}

/** Pulls every tag of the repository, in the registry's order. */
export async function pullAllTags(
  stores: TransferStores,
  reference: Reference,
  options: PullOptions,
): Promise<readonly TransferredImage[]> {
  requirePullable(reference);
  const { auth, signal } = options;
  const tags = await Array.fromAsync(stores.registry.tags(reference, { auth, signal }));
  const images: TransferredImage[] = [];
  let isNew = false;
  for (const tag of tags) {
    const pulled = await pullOne(stores, withTag(reference, tag), options);
    images.push(pulled.image);
    isNew ||= pulled.isNew;
  }
  tellStatus(options.onProgress, familiarName(reference), isNew);
  return images;
}

interface Pulled {
  readonly image: TransferredImage;
  /** The reference pointed elsewhere, or nowhere, before. */
  readonly isNew: boolean;
  readonly warning?: string;
}

/** Lease, resolve, choose, fetch, unpack, record. */
async function pullOne(stores: TransferStores, reference: Reference, options: PullOptions): Promise<Pulled> {
  requirePullable(reference);
  try {
    await using lease = await stores.metadata.lease({ ttlMs: partMemoryMs });
    const { auth, signal } = options;
    try {
      const onRetry = (delayMs: number, why: Error) => options.onProgress({ status: retryText(delayMs, why) });
      return await pullUnderLease({ stores, reference, lease, auth, signal, onRetry }, options);
    } catch (error) {
      if (mayGoOn(error)) await cleanup('after a pull that may go on', () => lease.leave(partMemoryMs));
      throw error;
    }
  } catch (error) {
    await cleanup('after a failed pull', (signal) => stores.metadata.collect({ signal }));
    throw error;
  }
}

/** What a pull that failed, was aborted or was killed has brought in is there for the next try, for so long. */
const partMemoryMs = 24 * 3_600_000;

async function pullUnderLease(call: PullCall, options: PullOptions): Promise<Pulled> {
  const { stores, reference } = call;
  const { onProgress } = options;
  const target = await fetchTarget(call);
  onProgress({
    status: `Pulling from ${reference.path}`,
    id: reference.digest ? familiarString(reference) : (reference.tag ?? ''),
  });
  const documents = await fetchManifest(call, target, options.platform ?? stores.platform);
  const config = await fetchConfig(call, documents.manifest, options.platform);
  const diffIDs = config.rootfs.diff_ids;
  const parts = { manifest: documents.manifest, diffIDs, os: config.os };
  const sizeBytes = await pullLayers(call, parts, onProgress);
  const attestations = await fetchAttestations(call, documents);
  const retained = retainedLayers(call, documents.manifest, diffIDs).map(({ digest }) => digest);
  onProgress({ status: `Digest: ${documents.target.digest}` });
  const platform = platformOf(config);
  const description = describeImage(
    { ...documents, config, diffIDs, platform },
    { sizeBytes, documents: [...documents.kept, ...retained, ...attestations] },
  );
  const { id } = description;
  const isNew = !isNamedAlready(stores, reference, description);
  const names = reference.digest || !reference.tag ? [] : [formatReference(reference)];
  const keep = stores.metadata.journal.keeping('pull', familiarString(reference));
  await stores.metadata.dropLeft(documents.target.digest);
  const repoDigests = [`${fullName(reference)}@${documents.target.digest}`];
  await stores.metadata.images.put(description, names, repoDigests, { keep, holder: holderOf(stores, description) });
  const warning = options.platform && mismatch(reference, description.platform, options.platform);
  return { image: { id, names: [formatReference(reference)] }, isNew, ...(warning ? { warning } : {}) };
}

/** The reference led to this image before, or to another platform of its index that was here with it. */
function isNamedAlready(stores: TransferStores, reference: Reference, { id, target }: ImageDescription): boolean {
  const { images } = stores.metadata;
  const name = formatReference(reference);
  const found = reference.digest
    ? images.byRepoDigest(`${fullName(reference)}@${reference.digest}`)
    : images.byName(name);
  if (!found || found.id === id) return found !== undefined;
  const isSameIndex = reference.digest !== undefined || targetOfName(found, name).digest === target.digest;
  return isSameIndex && images.members(target.digest).some((member) => member.id === id);
}

function requirePullable(reference: Reference): void {
  if (familiarName(reference) === 'scratch') {
    throw new EngineError('permission-denied', "'scratch' is a reserved name");
  }
}

/** A single manifest is taken whatever it is for, with a word of warning. */
function mismatch(reference: Reference, platform: Platform, wanted: Platform): string | undefined {
  if (platformRank(platform, wanted) !== undefined) return undefined;
  return `WARNING: image with reference ${familiarString(reference)} was found but its platform (${formatPlatform(platform)}) does not match the specified platform (${formatPlatform(wanted)})`;
}

function tellStatus(onProgress: OnProgress, name: string, isNew: boolean): void {
  const text = isNew ? 'Downloaded newer image' : 'Image is up to date';
  onProgress({ status: `Status: ${text} for ${name}` });
}
