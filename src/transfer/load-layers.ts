import { peek, sniffBytes, sniffCompression } from '#archive';
import { Semaphore } from '#concurrency';
import type { ContentStore } from '#content';
import type { IngestedLayer, LayerIngester } from '#diff';
import { EngineError } from '#errdefs';
import type { Lease, Metadata } from '#metadata';
import { type DiffID, type Digest, type Manifest, mediaTypes } from '#oci';
import { type ByteSource, fromBytes } from '#streams';
import { KeptCopy } from './kept-copy.ts';
import type { OnLayer } from './load-archive.ts';
import { progressLine, shortID } from './progress.ts';
import type { OnProgress } from './types.ts';

/** Layers whose bytes have passed may still be hashed, indexed and synced while the next ones are read. */
const maxUnfinished = 3;

export interface LoadedLayer {
  readonly diffID: DiffID;
  readonly sizeBytes: number;
}

export interface LoadLayersOptions {
  readonly metadata: Metadata;
  readonly content: Pick<ContentStore, 'stat' | 'draft'>;
  readonly ingester: LayerIngester;
  readonly lease: Lease;
  /** Compressed forms stay beside the layers. */
  readonly retain: boolean;
  readonly onProgress: OnProgress | undefined;
  readonly signal: AbortSignal;
  /** Starts work beside the reading; its failure aborts the load. */
  readonly run: (work: () => Promise<void>) => Promise<void>;
}

/** The layers of an archive, ingested as they pass. */
export class LoadLayers {
  readonly #options: LoadLayersOptions;
  readonly #unfinished = new Semaphore(maxUnfinished);
  readonly #byName = new Map<string, LoadedLayer>();
  readonly #byDigest = new Map<Digest, LoadedLayer>();
  readonly #retained = new Map<DiffID, Set<Digest>>();

  constructor(options: LoadLayersOptions) {
    this.#options = options;
  }

  byName(name: string): LoadedLayer | undefined {
    return this.#byName.get(name);
  }

  /** By the digest of the bytes in the archive, compressed or not. */
  byDigest(digest: Digest): LoadedLayer | undefined {
    return this.#byDigest.get(digest);
  }

  /** The compressed forms of these layers that stay in the store. */
  retained(diffIDs: readonly DiffID[]): readonly Digest[] {
    return [...new Set(diffIDs.flatMap((diffID) => [...(this.#retained.get(diffID) ?? [])]))];
  }

  /** The layers of an image when the archive had each of them and they are what its config says; `isByDiffID`: in whatever form. */
  ofView(
    { manifest, diffIDs }: { manifest: Manifest; diffIDs: readonly DiffID[] },
    isByDiffID: boolean,
  ): readonly LoadedLayer[] | undefined {
    const found = diffIDs.flatMap((diffID, at) => {
      const layer =
        this.#byDigest.get(manifest.layers[at]!.digest) ?? (isByDiffID ? this.#byDigest.get(diffID) : undefined);
      return layer?.diffID === diffID ? [layer] : [];
    });
    return found.length === diffIDs.length ? found : undefined;
  }

  /** Returns once the body has passed; the rest goes on beside the reading. */
  readonly take: OnLayer = async (layer) => {
    if (layer.digest && (await this.known(layer.name, layer.digest, layer.sizeBytes))) return;
    const place = await this.#unfinished.acquire({ signal: this.#options.signal });
    const { promise: passed, resolve } = Promise.withResolvers<void>();
    const finished = this.#options.run(async () => {
      try {
        await this.#ingest({ ...layer, body: untilPassed(layer.body, resolve) });
      } finally {
        place[Symbol.dispose]();
      }
    });
    await Promise.race([passed, finished]);
    // An aborted ingest gives its body up too; what comes next in the archive must not be read as if it had passed.
    this.#options.signal.throwIfAborted();
  };

  /** True for a layer that is in the store: it need not be in the archive. It stays there while the load lasts. */
  async known(name: string, digest: Digest, sizeBytes: number): Promise<boolean> {
    const known = await this.#present(digest, sizeBytes);
    if (known) this.#remember(name, digest, known);
    return known !== undefined;
  }

  /** A layer that was small enough to be held as a document: of no bytes at all, say. */
  async takeHeld(name: string, bytes: Buffer): Promise<LoadedLayer> {
    await this.#ingest({ name, digest: undefined, sizeBytes: bytes.length, body: fromBytes(bytes) });
    return this.#byName.get(name)!;
  }

  /** Recognises a layer by the digest in its path, held by the lease from then on. Its bytes in the archive need not be read. */
  async #present(digest: Digest, sizeBytes: number): Promise<LoadedLayer | undefined> {
    const { metadata, lease } = this.#options;
    await lease.add(digest);
    const plain = await this.#stored(digest as DiffID);
    if (plain && plain.sizeBytes !== sizeBytes)
      throw new EngineError('data-loss', `load layer ${digest}: size ${sizeBytes}, want ${plain.sizeBytes}`);
    if (plain) return plain;
    const origin = metadata.layers.byOrigin(digest);
    if (!origin) return undefined;
    await lease.add(origin.diffID);
    if (this.#options.retain) {
      if (!metadata.blobs.has(digest) || !(await this.#options.content.stat(digest))) return undefined;
      this.#noteRetained(origin.diffID, digest);
    }
    return this.#stored(origin.diffID);
  }

  /** A layer whose file was lost is taken again from the archive. */
  async #stored(diffID: DiffID): Promise<LoadedLayer | undefined> {
    const { metadata, content } = this.#options;
    const layer = metadata.layers.get(diffID);
    const file = layer && (await content.stat(diffID));
    return file?.sizeBytes === layer?.sizeBytes ? layer : undefined;
  }

  async #ingest(layer: Parameters<OnLayer>[0]): Promise<void> {
    const { ingester, onProgress, signal } = this.#options;
    const line = onProgress && progressLine(onProgress, shownID(layer.digest, layer.name));
    await using copied = await this.#copied(layer.body);
    const ingested = await ingester.ingest(copied.source, {
      ...(layer.digest ? { expected: { digest: layer.digest } } : {}),
      onNamed: (diffID) => this.#options.lease.add(diffID),
      ...(line ? { onProgress: (readBytes) => line.bytes('Loading layer', readBytes, layer.sizeBytes) } : {}),
      signal,
    });
    await this.#record(ingested);
    if (copied.copy) await this.#retain(copied.copy, ingested);
    const loaded = { diffID: ingested.diffID, sizeBytes: ingested.sizeBytes };
    this.#byDigest.set(ingested.diffID, loaded);
    this.#remember(layer.name, layer.digest ?? ingested.digest, loaded);
  }

  /** What is compressed is copied as it passes, if it is to stay. */
  async #copied(body: ByteSource): Promise<{ source: ByteSource; copy?: KeptCopy } & AsyncDisposable> {
    if (!this.#options.retain) return { source: body, [Symbol.asyncDispose]: async () => {} };
    const { start, rest } = await peek(body, sniffBytes);
    const copy = sniffCompression(start) === 'none' ? undefined : new KeptCopy(this.#options.content);
    return {
      source: copy ? copy.of(rest) : rest,
      ...(copy ? { copy } : {}),
      [Symbol.asyncDispose]: async () => copy?.[Symbol.asyncDispose](),
    };
  }

  async #retain(copy: KeptCopy, { diffID, digest, compressedBytes }: IngestedLayer): Promise<void> {
    const { lease, metadata } = this.#options;
    await lease.add(digest);
    await copy.keep({ digest, sizeBytes: compressedBytes });
    await metadata.blobs.put(digest, compressedBytes);
    this.#noteRetained(diffID, digest);
  }

  #noteRetained(diffID: DiffID, digest: Digest): void {
    this.#retained.set(diffID, (this.#retained.get(diffID) ?? new Set()).add(digest));
  }

  /** Every file in the store gets its row, whatever comes next: what has a row can be collected. */
  async #record(ingested: IngestedLayer): Promise<void> {
    const { diffID, sizeBytes, compression } = ingested;
    const mediaType = compression === 'zstd' ? mediaTypes.ociLayerZstd : mediaTypes.ociLayerGzip;
    const descriptor = { mediaType, digest: ingested.digest, size: ingested.compressedBytes };
    const origin = compression === 'none' ? undefined : { diffID, descriptor, repository: '' };
    await this.#options.metadata.layers.put({ diffID, sizeBytes, createdMs: Date.now() }, origin);
  }

  #remember(name: string, digest: Digest | undefined, layer: LoadedLayer): void {
    this.#byName.set(name, layer);
    if (digest) this.#byDigest.set(digest, layer);
  }
}

/** Calls back when the source has been read to its end, or is given up. */
async function* untilPassed(source: ByteSource, passed: () => void): AsyncGenerator<Uint8Array> {
  try {
    yield* source;
  } finally {
    passed();
  }
}

/** Docker shows the start of the diffID; an old archive names its layers by folder only. */
function shownID(digest: Digest | undefined, name: string): string {
  return digest ? shortID(digest) : name.slice(0, 12);
}
