import { createReadStream, createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { type PackMember, packTar } from '#archive';
import { type Compression, compressLayer } from '#diff';
import { EngineError } from '#errdefs';
import { createdMsOf, maxConfigBytes, platformOf, readDocument } from '#image';
import type { ImageRecord } from '#metadata';
import { type Descriptor, type DiffID, digestHex, digestOf, type Manifest, mediaTypes, parseConfig } from '#oci';
import { familiarString, formatReference, type Reference } from '#reference';
import { type ByteSource, fromBytes } from '#streams';
import { document } from './save.ts';
import { blobPath, type SaveBlob } from './save-image.ts';
import type { TransferStores } from './types.ts';

export interface LayoutWish {
  /** `docker`: what `docker load` reads, beside the layout. */
  readonly format: 'oci' | 'docker';
  readonly references: readonly Reference[];
  /** Undefined leaves layers as they are. */
  readonly compression: Compression | undefined;
  /** Media types of OCI instead of Docker's. */
  readonly ociTypes: boolean;
  readonly signal: AbortSignal;
}

/** Images as an OCI layout (image-spec v1.1 image-layout.md): what its index names, and its files. */
export interface Layout {
  /** The one image's manifest, or an index of several. */
  readonly target: Descriptor;
  readonly manifests: readonly Descriptor[];
  readonly blobs: readonly LayoutBlob[];
  tar(): AsyncIterable<Uint8Array>;
}

export interface LayoutBlob extends Pick<SaveBlob, 'digest' | 'sizeBytes'> {
  open(): ByteSource;
}

interface LaidOut {
  readonly image: ImageRecord;
  readonly manifest: Descriptor;
  readonly layers: readonly Descriptor[];
  readonly createdMs: number;
}

type Stores = Pick<TransferStores, 'content'>;

const layerTypes = {
  oci: { none: mediaTypes.ociLayer, gzip: mediaTypes.ociLayerGzip, zstd: mediaTypes.ociLayerZstd },
  docker: {
    none: mediaTypes.dockerLayer,
    gzip: mediaTypes.dockerLayerGzip,
    zstd: 'application/vnd.docker.image.rootfs.diff.tar.zstd',
  },
} as const;

/**
 * Lays images out: layers compressed once each into `folder`, which is the caller's to remove, documents in memory. Images that a registry knows in another
 * form get manifests of their own here, their configs stay.
 * @throws `data-loss` when a layer's bytes are gone
 */
export async function layOut(
  stores: Stores,
  images: readonly ImageRecord[],
  wish: LayoutWish & { readonly folder: string },
): Promise<Layout> {
  const blobs = new Map<string, LayoutBlob>();
  const compressed = new Map<DiffID, Promise<Descriptor>>();
  const layer = (diffID: DiffID) => {
    const known = compressed.get(diffID) ?? layOutLayer(stores, diffID, wish, blobs);
    compressed.set(diffID, known);
    return known;
  };
  const laidOut: LaidOut[] = [];
  for (const image of images) laidOut.push(await layOutImage(stores, image, wish, { layer, blobs }));
  const manifests = laidOut.map(({ manifest }) => manifest);
  const target = manifests.length === 1 ? manifests[0]! : writtenDocument(indexOf(manifests, wish), blobs);
  const sorted = [...blobs.values()].sort((a, b) => (a.digest < b.digest ? -1 : 1));
  const documents = documentsOf(target, laidOut, wish);
  return { target, manifests, blobs: sorted, tar: () => packTar(members(sorted, documents)) };
}

async function layOutLayer(
  { content }: Stores,
  diffID: DiffID,
  { compression, ociTypes, folder, signal }: LayoutWish & { readonly folder: string },
  blobs: Map<string, LayoutBlob>,
): Promise<Descriptor> {
  const mediaType = layerTypes[ociTypes ? 'oci' : 'docker'][compression?.format ?? 'none'];
  const stored = await content.stat(diffID);
  if (!stored) throw new EngineError('data-loss', `layer ${diffID}: its bytes are not in the store`);
  if (!compression) {
    blobs.set(diffID, { digest: diffID, sizeBytes: stored.sizeBytes, open: () => content.open(diffID) });
    return { mediaType, digest: diffID, size: stored.sizeBytes };
  }
  const path = join(folder, digestHex(diffID));
  const layer = compressLayer(content.open(diffID), compression);
  await pipeline(layer, createWriteStream(path, { flags: 'wx' }), { signal });
  const { digest, sizeBytes } = layer.result;
  blobs.set(digest, { digest, sizeBytes, open: () => createReadStream(path, { highWaterMark: 1 << 20 }) });
  return { mediaType, digest, size: sizeBytes };
}

async function layOutImage(
  stores: Stores,
  image: ImageRecord,
  { ociTypes }: LayoutWish,
  { layer, blobs }: { layer: (diffID: DiffID) => Promise<Descriptor>; blobs: Map<string, LayoutBlob> },
): Promise<LaidOut> {
  const bytes = await readDocument(stores.content, image.id, maxConfigBytes, 'image config');
  const config = parseConfig(bytes);
  const layers: Descriptor[] = [];
  for (const diffID of config.rootfs.diff_ids) layers.push(await layer(diffID));
  blobs.set(image.id, { digest: image.id, sizeBytes: bytes.length, open: () => fromBytes(bytes) });
  const manifest: Manifest = {
    schemaVersion: 2,
    mediaType: ociTypes ? mediaTypes.ociManifest : mediaTypes.dockerManifest,
    config: {
      mediaType: ociTypes ? mediaTypes.ociConfig : mediaTypes.dockerConfig,
      digest: image.id,
      size: bytes.length,
    },
    layers,
  };
  const { os, architecture, variant } = platformOf(config);
  const platform = { architecture, os, ...(variant ? { variant } : {}) };
  return { image, manifest: { ...writtenDocument(manifest, blobs), platform }, layers, createdMs: createdMsOf(config) };
}

function writtenDocument(value: { mediaType?: string }, blobs: Map<string, LayoutBlob>): Descriptor {
  const bytes = Buffer.from(JSON.stringify(value));
  const digest = digestOf(bytes);
  blobs.set(digest, { digest, sizeBytes: bytes.length, open: () => fromBytes(bytes) });
  return { mediaType: value.mediaType ?? '', digest, size: bytes.length };
}

function indexOf(manifests: readonly Descriptor[], { ociTypes }: LayoutWish) {
  return { schemaVersion: 2, mediaType: ociTypes ? mediaTypes.ociIndex : mediaTypes.dockerManifestList, manifests };
}

function documentsOf(target: Descriptor, images: readonly LaidOut[], { format, references }: LayoutWish) {
  const created = new Date(Math.max(0, ...images.map(({ createdMs }) => createdMs)));
  const made = { 'org.opencontainers.image.created': created.toISOString().replace(/\.\d+Z$/, 'Z') };
  const names = references.map((reference) => ({
    'io.containerd.image.name': formatReference(reference),
    ...made,
    'org.opencontainers.image.ref.name': reference.tag!,
  }));
  const manifests = (names.length === 0 ? [made] : names).map((annotations) => ({ ...target, annotations }));
  const loaded = images.map(({ image, layers }) => ({
    Config: blobPath(image.id),
    RepoTags: references.length === 0 ? null : references.map(familiarString),
    Layers: layers.map(({ digest }) => blobPath(digest)),
  }));
  return [
    { name: 'index.json', text: JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests }) },
    ...(format === 'docker' ? [{ name: 'manifest.json', text: JSON.stringify(loaded) }] : []),
    { name: 'oci-layout', text: '{"imageLayoutVersion":"1.0.0"}' },
  ];
}

function* members(
  blobs: readonly LayoutBlob[],
  documents: readonly { name: string; text: string }[],
): Generator<PackMember> {
  for (const path of ['blobs', 'blobs/sha256']) yield { entry: { type: 'directory', path, mode: 0o755 } };
  for (const { digest, sizeBytes, open } of blobs) {
    yield { entry: { type: 'file', path: blobPath(digest), mode: 0o444, sizeBytes }, body: open() };
  }
  for (const { name, text } of documents) yield document(name, Buffer.from(text));
}
