import type { DiffID, Digest } from '#oci';
import type { ByteSource } from '#streams';

/** What came out of one pass over a layer's bytes. */
export interface IngestedLayer {
  readonly diffID: DiffID;
  /** Uncompressed. */
  readonly sizeBytes: number;
  /** The bytes as they came (equal to diffID and sizeBytes for a plain tar). */
  readonly digest: Digest;
  readonly compressedBytes: number;
  readonly compression: 'none' | 'gzip' | 'zstd';
  /** Nothing in the layer leans on layers below it (no implied parents, no hardlinks to outside, no opaque root): its index, if any, is keyed by the diffID alone. */
  readonly standsAlone: boolean;
}

export interface IngestOptions {
  /** Checked at the end: a mismatch is `data-loss` and leaves nothing. */
  readonly expected?: {
    readonly digest?: Digest;
    readonly compressedBytes?: number;
    readonly diffID?: DiffID;
  };
  /** Told the layer's name before the store has its bytes under it: where the name cannot be held, nothing is stored. */
  readonly onNamed?: (diffID: DiffID) => Promise<void>;
  /** Called with bytes read so far (of the bytes as they come) and, once known, uncompressed bytes written. */
  readonly onProgress?: (readBytes: number, writtenBytes: number) => void;
  readonly signal?: AbortSignal | undefined;
}

/** Bounded set of worker threads over one store; threads end when idle. */
export interface LayerIngester extends AsyncDisposable {
  /**
   * Ingests into the content store under the diffID, with the driver's index beside it when it has one. Not a tar, or a hostile one:
   * `invalid-argument`. Abort or failure leaves nothing behind.
   */
  ingest(source: ByteSource, options?: IngestOptions): Promise<IngestedLayer>;
}
