import { decompress, peek, sniffBytes, sniffCompression } from '#archive';
import { cleanup } from '#concurrency';
import { assembleImage } from '#image';
import type { Lease } from '#metadata';
import type { ImageConfig, Platform, RunConfig } from '#oci';
import { familiarString, formatReference, type Reference } from '#reference';
import type { ByteSource } from '#streams';
import { externalDecompressors } from './import-compression.ts';
import { inDockersWords } from './load-errors.ts';
import type { TransferredImage, TransferStores } from './types.ts';

export interface ImportOptions {
  /** The image's name; without one it is dangling. */
  readonly reference?: Reference;
  /** The commit message; else Docker's text, which says where it came from. */
  readonly message?: string;
  /** `-` for a stream, or a URL. */
  readonly origin?: string;
  readonly platform?: Platform;
  /** Applies `--change` instructions to the empty config. Called before anything is read, so that a bad one costs nothing. */
  readonly applyChanges?: (config: RunConfig) => RunConfig;
  readonly signal?: AbortSignal | undefined;
}

type Stores = Pick<TransferStores, 'content' | 'metadata' | 'layers' | 'snapshots' | 'platform'>;

/**
 * `docker import`: a root filesystem's tar (plain, gzip, zstd, xz, bzip2) becomes an image of one layer: change → lease → ingest → assemble → record.
 * Failure or abort leaves nothing.
 * @throws `invalid-argument` when it is not a tar.
 */
export async function importImage(
  stores: Stores,
  source: ByteSource,
  options: ImportOptions = {},
): Promise<TransferredImage> {
  const config = options.applyChanges?.({}) ?? {};
  const lease = await stores.metadata.lease();
  try {
    return await importUnderLease(stores, source, { ...options, config, lease });
  } catch (error) {
    await cleanup('failed import', async () => {
      await lease[Symbol.asyncDispose]();
      await stores.metadata.collect();
    });
    throw inDockersWords(error);
  } finally {
    await lease[Symbol.asyncDispose]();
  }
}

async function importUnderLease(
  stores: Stores,
  source: ByteSource,
  options: ImportOptions & { readonly config: RunConfig; readonly lease: Lease },
): Promise<TransferredImage> {
  const { lease, signal } = options;
  const ingested = await stores.layers.ingest(await layerBytes(source), {
    onNamed: (diffID) => lease.add(diffID),
    signal,
  });
  const layer = { diffID: ingested.diffID, sizeBytes: ingested.sizeBytes };
  await stores.metadata.layers.put({ ...layer, createdMs: Date.now() });
  signal?.throwIfAborted();
  await stores.snapshots.unpack([layer.diffID], { signal });
  const image = await assembleImage(stores.content, {
    config: importedConfig(layer.diffID, options, options.platform ?? stores.platform),
    layers: [layer],
  });
  await lease.add(...image.references);
  const names = options.reference ? [formatReference(options.reference)] : [];
  const keep = options.reference && stores.metadata.journal.keeping('import', familiarString(options.reference));
  await stores.metadata.images.put(image, names, [], { keep });
  return { id: image.id, names };
}

/** The ingester inflates what Node can. */
async function layerBytes(source: ByteSource): Promise<ByteSource> {
  const { start, rest } = await peek(source, sniffBytes);
  const compression = sniffCompression(start);
  const isForeign = compression === 'xz' || compression === 'bzip2';
  return isForeign ? decompress(rest, { external: externalDecompressors }) : rest;
}

function importedConfig(
  diffID: ImageConfig['rootfs']['diff_ids'][number],
  options: ImportOptions & { readonly config: RunConfig },
  platform: Platform,
): ImageConfig {
  const created = new Date().toISOString();
  const comment = options.message || `Imported from ${options.origin ?? '-'}`;
  const { os, architecture, variant } = platform;
  return {
    architecture,
    config: options.config,
    created,
    history: [{ created, comment }],
    os,
    rootfs: { type: 'layers', diff_ids: [diffID] },
    ...(variant ? { variant } : {}),
  };
}
