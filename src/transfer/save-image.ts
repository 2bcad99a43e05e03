import { EngineError } from '#errdefs';
import { createdMsOf, manifestOf, maxConfigBytes, platformOf, readDocument, type StoredLayer } from '#image';
import {
  type Descriptor,
  type Digest,
  digestAlgorithm,
  digestHex,
  digestOf,
  formatPlatform,
  mediaTypes,
  type Platform,
  parseConfig,
  platformRank,
} from '#oci';
import type { Reference } from '#reference';
import type { SelectedImage } from './save-names.ts';
import type { TransferStores } from './types.ts';

type Stores = Pick<TransferStores, 'content' | 'metadata'>;

/** A member below `blobs/`: a document with its bytes, or a layer that the content store has. */
export interface SaveBlob {
  readonly path: string;
  readonly digest: Digest;
  readonly sizeBytes: number;
  readonly mtimeSec: number;
  readonly bytes?: Uint8Array;
}

export interface PlannedImage {
  readonly id: Digest;
  readonly references: readonly Reference[];
  readonly layers: readonly StoredLayer[];
  /** What `index.json` lists: the manifest, or an index over several platforms. */
  readonly listed: Descriptor;
  readonly parent: Digest | undefined;
  readonly blobs: readonly SaveBlob[];
}

export function noTarget(platform: Platform): EngineError {
  const message = `no suitable export target found for platform ${formatPlatform(platform)}`;
  return new EngineError('not-found', message);
}

/** An image with the manifest that a save writes for it: its layers are uncompressed. */
export async function planImage(
  stores: Stores,
  { image, references }: SelectedImage,
  options: { platforms: readonly Platform[]; parent: Digest | undefined },
): Promise<PlannedImage> {
  const bytes = await readDocument(stores.content, image.id, maxConfigBytes, 'image config');
  const config = parseConfig(bytes);
  const own = platformOf(config);
  const other = options.platforms.find((platform) => platformRank(own, platform) === undefined);
  if (other) throw noTarget(other);
  const layers = await Promise.all(config.rootfs.diff_ids.map((diffID) => storedLayer(stores, diffID)));
  const manifestBytes = Buffer.from(JSON.stringify(manifestOf(image.id, bytes.length, layers)));
  const manifest = {
    mediaType: mediaTypes.ociManifest,
    digest: digestOf(manifestBytes),
    size: manifestBytes.length,
  };
  const mtimeSec = Math.max(0, Math.floor(createdMsOf(config) / 1000));
  return {
    id: image.id,
    references,
    layers,
    listed: manifest,
    parent: options.parent,
    blobs: [
      ...layers.map(({ diffID, sizeBytes }) => blobOf(diffID, sizeBytes, mtimeSec)),
      { ...blobOf(image.id, bytes.length, mtimeSec), bytes },
      saveBlob(manifest.digest, manifestBytes),
    ],
  };
}

async function storedLayer({ content }: Stores, diffID: StoredLayer['diffID']): Promise<StoredLayer> {
  const blob = await content.stat(diffID);
  if (!blob) throw new EngineError('data-loss', `save layer ${diffID}: its bytes are not in the store`);
  return { diffID, sizeBytes: blob.sizeBytes };
}

function blobOf(digest: Digest, sizeBytes: number, mtimeSec: number): SaveBlob {
  return { path: blobPath(digest), digest, sizeBytes, mtimeSec };
}

/** A document of no time. */
export function saveBlob(digest: Digest, bytes: Uint8Array): SaveBlob {
  return { ...blobOf(digest, bytes.length, 0), bytes };
}

export function blobPath(digest: Digest): string {
  return `blobs/${digestAlgorithm(digest)}/${digestHex(digest)}`;
}
