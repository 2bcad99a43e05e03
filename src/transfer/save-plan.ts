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
import { familiarName, familiarString, formatReference, type Reference } from '#reference';
import type { SelectedImage } from './save-names.ts';
import type { TransferStores } from './types.ts';

/** A member below `blobs/`: a document with its bytes, or a layer that the content store has. */
export interface SaveBlob {
  readonly path: string;
  readonly digest: Digest;
  readonly sizeBytes: number;
  readonly mtimeSec: number;
  readonly bytes?: Uint8Array;
}

export interface SavePlan {
  /** Sorted by path. */
  readonly blobs: readonly SaveBlob[];
  /** The documents at the top, sorted by name. */
  readonly documents: readonly { readonly name: string; readonly text: string }[];
}

interface PlannedImage {
  readonly id: Digest;
  readonly references: readonly Reference[];
  readonly layers: readonly StoredLayer[];
  readonly manifest: Descriptor;
  readonly parent: Digest | undefined;
  readonly blobs: readonly SaveBlob[];
}

type Stores = Pick<TransferStores, 'content' | 'metadata'>;

export async function planSave(
  stores: Stores,
  selected: readonly SelectedImage[],
  platform: Platform | undefined,
): Promise<SavePlan> {
  const ids = new Set(selected.map(({ image }) => image.id));
  const images: PlannedImage[] = [];
  for (const { image, references } of selected)
    images.push(
      await planImage(stores, { image, references }, { platform, parent: savedAncestor(stores, image.parent, ids) }),
    );
  const blobs = new Map<string, SaveBlob>();
  // A shared layer has the time of the first image that brings it.
  for (const blob of images.flatMap((image) => image.blobs)) if (!blobs.has(blob.path)) blobs.set(blob.path, blob);
  return {
    blobs: [...blobs.values()].sort((a, b) => (a.path < b.path ? -1 : 1)),
    documents: documentsOf(images),
  };
}

async function planImage(
  stores: Stores,
  { image, references }: SelectedImage,
  options: { platform: Platform | undefined; parent: Digest | undefined },
): Promise<PlannedImage> {
  const bytes = await readDocument(stores.content, image.id, maxConfigBytes, 'image config');
  const config = parseConfig(bytes);
  if (options.platform && platformRank(platformOf(config), options.platform) === undefined)
    throw new EngineError(
      'not-found',
      `no suitable export target found for platform ${formatPlatform(options.platform)}`,
    );
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
    manifest,
    parent: options.parent,
    blobs: [
      ...layers.map(({ diffID, sizeBytes }) => blobOf(diffID, sizeBytes, mtimeSec)),
      { ...blobOf(image.id, bytes.length, mtimeSec), bytes },
      { ...blobOf(manifest.digest, manifestBytes.length, 0), bytes: manifestBytes },
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

export function blobPath(digest: Digest): string {
  return `blobs/${digestAlgorithm(digest)}/${digestHex(digest)}`;
}

/** The nearest ancestor that is saved too: a load links them again. */
function savedAncestor(
  { metadata }: Stores,
  parent: Digest | undefined,
  saved: ReadonlySet<Digest>,
): Digest | undefined {
  const seen = new Set<Digest>();
  for (let at = parent; at !== undefined && !seen.has(at); at = metadata.images.get(at)?.parent) {
    if (saved.has(at)) return at;
    seen.add(at);
  }
  return undefined;
}

function documentsOf(images: readonly PlannedImage[]): SavePlan['documents'] {
  const repositories = repositoriesOf(images);
  return [
    { name: 'index.json', text: JSON.stringify(indexOf(images)) },
    // Docker's encoder ends these two, and only these, with a line feed.
    { name: 'manifest.json', text: `${JSON.stringify(images.map(manifestItem))}\n` },
    { name: 'oci-layout', text: '{"imageLayoutVersion": "1.0.0"}' },
    ...(repositories ? [{ name: 'repositories', text: `${JSON.stringify(repositories)}\n` }] : []),
  ];
}

/** image-spec v1.1 image-layout.md §index.json, with the annotations containerd and Docker read names from. */
function indexOf(images: readonly PlannedImage[]) {
  const manifests = images.flatMap(({ manifest, references }) =>
    references.length === 0
      ? [manifest]
      : references.map((reference) => ({
          ...manifest,
          annotations: {
            'io.containerd.image.name': formatReference(reference),
            'org.opencontainers.image.ref.name': reference.tag!,
          },
        })),
  );
  return { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests };
}

function manifestItem(image: PlannedImage) {
  const sources = [...new Map(image.layers.map((layer) => [layer.diffID, layer])).values()].sort((a, b) =>
    a.diffID < b.diffID ? -1 : 1,
  );
  return {
    Config: blobPath(image.id),
    RepoTags: image.references.length > 0 ? image.references.map(familiarString) : null,
    Layers: image.layers.length > 0 ? image.layers.map((layer) => blobPath(layer.diffID)) : null,
    ...(image.parent === undefined ? {} : { Parent: image.parent }),
    ...(sources.length === 0 ? {} : { LayerSources: Object.fromEntries(sources.map(layerSource)) }),
  };
}

function layerSource({ diffID, sizeBytes }: StoredLayer) {
  return [diffID, { mediaType: mediaTypes.ociLayer, size: sizeBytes, digest: diffID }] as const;
}

/** The oldest format's names: repository → tag → top layer. An image without layers has none. */
function repositoriesOf(images: readonly PlannedImage[]): Record<string, Record<string, string>> | undefined {
  const found = images.flatMap(({ references, layers }) => {
    const top = layers.at(-1);
    return top ? references.map((reference) => ({ reference, top: digestHex(top.diffID) })) : [];
  });
  if (found.length === 0) return undefined;
  const repositories = new Map<string, Map<string, string>>();
  for (const { reference, top } of found) {
    const name = familiarName(reference);
    repositories.set(name, (repositories.get(name) ?? new Map<string, string>()).set(reference.tag!, top));
  }
  return sortedObject(repositories, (tags) => sortedObject(tags, (top) => top));
}

function sortedObject<T, U>(map: ReadonlyMap<string, T>, value: (entry: T) => U): Record<string, U> {
  const entries = [...map].sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, entry]) => [key, value(entry)]));
}
