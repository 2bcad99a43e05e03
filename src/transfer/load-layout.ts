import type { Ingester } from '#content';
import { EngineError } from '#errdefs';
import type { Lease, Metadata } from '#metadata';
import { type Descriptor, type Digest, isAttestation, isDigest, parseIndex, parseTarget, type Target } from '#oci';
import { isReference, parseReference, type Reference } from '#reference';
import type { LoadArchive } from './load-archive.ts';
import { originalTarget } from './save-index.ts';

const maxDepth = 4;

/** What `index.json` lists: a target and the name it came with. */
export interface LayoutEntry {
  readonly target: Descriptor;
  readonly reference: Reference | undefined;
  /** The target's manifests name layers in another form than the archive has them: they are found by what its configs say. */
  readonly isByDiffID: boolean;
}

/** image-spec v1.1 image-layout.md §index.json. @throws `invalid-argument`. */
export function readLayout(archive: LoadArchive): readonly LayoutEntry[] | undefined {
  const bytes = archive.document('index.json');
  if (!bytes) return undefined;
  return parseIndex(bytes).manifests.map((target) => {
    const original = originalOf(archive, target);
    return { target: original ?? bare(target), reference: nameOf(target), isByDiffID: original !== undefined };
  });
}

/** The index that an entry of ours was made from, when the archive has it. */
function originalOf(archive: LoadArchive, { annotations }: Descriptor): Descriptor | undefined {
  const digest = annotations?.[originalTarget];
  if (digest === undefined || !isDigest(digest)) return undefined;
  const bytes = archive.blob(digest);
  if (!bytes) return undefined;
  const document = parseTarget(bytes);
  return document.kind === 'index' ? { mediaType: document.mediaType, digest, size: bytes.length } : undefined;
}

/** containerd and Docker write the whole name in one annotation; skopeo and podman in the standard one, where others put the tag alone. */
function nameOf({ annotations }: Descriptor): Reference | undefined {
  const full = annotations?.['io.containerd.image.name'];
  const standard = annotations?.['org.opencontainers.image.ref.name'];
  const text = full ?? (standard && /[:/]/.test(standard) ? standard : undefined);
  if (text === undefined || !isReference(text)) return undefined;
  const reference = parseReference(text);
  return reference.digest === undefined ? { tag: 'latest', ...reference } : undefined;
}

/** The name belongs to the archive, not to the image. */
function bare(target: Descriptor): Descriptor {
  const { annotations: _, ...rest } = target;
  return rest;
}

/** A document of an image, as raw bytes. */
export interface LayoutDocument {
  readonly digest: Digest;
  readonly bytes: Buffer;
}

/** The manifests, indexes, configs and statements below a target that the archive has; absent children of an index are left out. */
export function documentsBelow(archive: LoadArchive, target: Descriptor): readonly LayoutDocument[] {
  const found = new Map<Digest, Buffer>();
  const take = (digest: Digest): Buffer | undefined => {
    const bytes = archive.blob(digest);
    if (bytes) found.set(digest, bytes);
    return bytes;
  };
  const visit = (descriptor: Descriptor, depth: number): void => {
    if (depth > maxDepth) throw new EngineError('invalid-argument', `load: indexes nested deeper than ${maxDepth}`);
    const bytes = found.has(descriptor.digest) ? undefined : take(descriptor.digest);
    const document = bytes && decode(bytes, descriptor);
    if (document?.kind === 'index') for (const child of document.index.manifests) visit(child, depth + 1);
    if (document?.kind === 'manifest') take(document.manifest.config.digest);
    if (document?.kind === 'manifest' && isAttestation(descriptor))
      for (const { digest } of document.manifest.layers) take(digest);
  };
  visit(target, 1);
  return [...found].map(([digest, bytes]) => ({ digest, bytes }));
}

/** A child of a kind unknown to us is kept as it is; whoever chooses it is told what is wrong with it. */
function decode(bytes: Buffer, descriptor: Descriptor): Target | undefined {
  try {
    return parseTarget(bytes, descriptor.mediaType || undefined);
  } catch (error) {
    if (error instanceof EngineError) return undefined;
    throw error;
  }
}

/** Writes documents under the lease, each with its row: what has a row can be collected. */
export async function storeDocuments(
  stores: { readonly content: Pick<Ingester, 'put'>; readonly metadata: Pick<Metadata, 'blobs'> },
  lease: Lease,
  documents: readonly LayoutDocument[],
): Promise<void> {
  await lease.add(...documents.map((document) => document.digest));
  await Promise.all(
    documents.map(async ({ bytes, digest }) => {
      await stores.content.put(bytes, digest);
      await stores.metadata.blobs.put(digest, bytes.length);
    }),
  );
}
