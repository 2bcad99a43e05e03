import { type PackEntry, type PackMember, packTar } from '#archive';
import type { Platform } from '#oci';
import { type Part, PartedSource } from '#streams';
import type { SaveBlob } from './save-image.ts';
import { resolveSaveNames } from './save-names.ts';
import { planSave, type SavePlan, savedDigests } from './save-plan.ts';
import type { TransferStores } from './types.ts';

export interface SaveOptions {
  /** Of an index these alone; every image must be of them. None is all that is here. */
  readonly platforms?: readonly Platform[];
  readonly signal?: AbortSignal | undefined;
}

/**
 * `docker save`: resolve → lease → plan → write. One tar, an OCI layout with `manifest.json` and `repositories` beside it; layers uncompressed,
 * shared ones once, members sorted. The same images give the same bytes.
 *
 * Everything that can be refused is refused before the first chunk, so that a caller may still answer with a status.
 * @throws `not-found` for an unknown name, `data-loss` when a layer's bytes are gone.
 */
export function saveImages(
  stores: Pick<TransferStores, 'content' | 'metadata' | 'platform'>,
  names: readonly string[],
  options: SaveOptions = {},
): PartedSource {
  return new PartedSource(partsOf(stores, names, options));
}

async function* partsOf(...[stores, names, options = {}]: Parameters<typeof saveImages>): AsyncGenerator<Part> {
  const selected = resolveSaveNames(stores.metadata.images, names);
  await using lease = await stores.metadata.lease();
  await lease.add(...savedDigests(stores, selected));
  const plan = await planSave(stores, selected, options.platforms);
  for await (const part of packTar(entriesOf(plan, stores)).parts) {
    options.signal?.throwIfAborted();
    yield part;
  }
}

/** The members of an archive: an OCI layout, with the documents of older formats beside it. */
export function* entriesOf(plan: SavePlan, stores: Pick<TransferStores, 'content'>): Generator<PackMember> {
  yield folder('blobs');
  for (const algorithm of new Set(plan.blobs.map((blob) => blob.path.split('/')[1]!)))
    yield folder(`blobs/${algorithm}`);
  for (const blob of plan.blobs) yield file(blob, stores);
  for (const { name, text } of plan.documents) yield document(name, Buffer.from(text));
}

export function document(name: string, bytes: Uint8Array): PackMember {
  return { entry: fileEntry(name, bytes.byteLength, 0), body: bytes };
}

function folder(path: string): PackMember {
  return { entry: { type: 'directory', path, mode: 0o755 } };
}

function file(blob: SaveBlob, stores: Pick<TransferStores, 'content'>): PackMember {
  return {
    entry: fileEntry(blob.path, blob.sizeBytes, blob.mtimeSec),
    body: blob.bytes ?? stores.content.open(blob.digest),
  };
}

function fileEntry(path: string, sizeBytes: number, mtimeSec: number): PackEntry {
  return { type: 'file', path, mode: 0o644, sizeBytes, mtime: { sec: mtimeSec, nsec: 0 } };
}
