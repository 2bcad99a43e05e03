import type { StoredLayer } from '#image';
import { type Digest, digestHex, mediaTypes, type Platform } from '#oci';
import { familiarName, familiarString, formatReference } from '#reference';
import { blobPath, type PlannedImage, planImage, type SaveBlob } from './save-image.ts';
import { planIndex, subjectsOf } from './save-index.ts';
import type { SelectedImage } from './save-names.ts';
import type { TransferStores } from './types.ts';

export interface SavePlan {
  /** Sorted by path. */
  readonly blobs: readonly SaveBlob[];
  /** The documents at the top, sorted by name. */
  readonly documents: readonly { readonly name: string; readonly text: string }[];
}

type Stores = Pick<TransferStores, 'content' | 'metadata' | 'platform'>;

export async function planSave(
  stores: Stores,
  selected: readonly SelectedImage[],
  platforms: readonly Platform[] = [],
): Promise<SavePlan> {
  const subjects = selected.flatMap((one) => subjectsOf(stores, one, platforms));
  const ids = new Set(subjects.map(({ image }) => image.id));
  const images: PlannedImage[] = [];
  for (const subject of subjects) {
    const { image, index } = subject;
    const parent = savedAncestor(stores, image.parent, ids);
    // Those of an index are here already.
    const planned = await planImage(stores, subject, { platforms: index ? [] : platforms, parent });
    images.push(index ? await planIndex(stores, { ...subject, index }, planned) : planned);
  }
  const blobs = new Map<string, SaveBlob>();
  // A shared layer has the time of the first image that brings it.
  for (const blob of images.flatMap((image) => image.blobs)) if (!blobs.has(blob.path)) blobs.set(blob.path, blob);
  return {
    blobs: [...blobs.values()].sort((a, b) => (a.path < b.path ? -1 : 1)),
    documents: documentsOf(images),
  };
}

/** What has to stay while images are saved: theirs, and that of other platforms of their indexes. */
export function savedDigests({ metadata }: Pick<Stores, 'metadata'>, selected: readonly SelectedImage[]): Digest[] {
  const images = selected.flatMap(({ image }) => [
    image,
    ...image.targets.flatMap((target) => metadata.images.members(target)),
  ]);
  const digests = images.flatMap(({ id, targets, manifest, diffIDs }) => [id, ...targets, manifest.digest, ...diffIDs]);
  return [...new Set(digests)];
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
  const manifests = images.flatMap(({ listed, references }) =>
    references.length === 0
      ? [listed]
      : references.map((reference) => ({
          ...listed,
          annotations: {
            ...listed.annotations,
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
