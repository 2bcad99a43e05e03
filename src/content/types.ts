import type { Digest } from '#oci';
import type { ByteSource } from '#streams';

export interface BlobInfo {
  readonly digest: Digest;
  readonly sizeBytes: number;
}

export interface Provider {
  /** The blob's bytes, or the range asked for. @throws `not-found`; `out-of-range` when the range starts past the end. */
  open(digest: Digest, range?: { offset?: number; length?: number }): ByteSource;
  /** Where the bytes are, for mounts and worker threads. The file may be missing. */
  path(digest: Digest): string;
}

/** What a writer may be told when it is opened. */
export interface WriterOptions {
  /** Names the download: a second writer of the same key waits for the first; a broken-off one is resumed at `offset`. */
  readonly key: string;
  readonly expected?: { readonly digest?: Digest; readonly sizeBytes?: number };
  readonly signal?: AbortSignal | undefined;
}

/** One blob in flight, in `content/ingest/<hash of key>`. Dispose without commit keeps the bytes for a resume; abort deletes them. */
export interface Writer extends AsyncDisposable {
  /** Bytes already there from an earlier try: continue the source at this offset. */
  readonly offset: number;
  write(chunk: Uint8Array): Promise<void>;
  /** Throws away what was written and starts again at 0. */
  truncate(): Promise<void>;
  /** Verifies, fsyncs, renames, fsyncs the folder. @throws `data-loss` on a wrong digest or size (the bytes are then deleted). */
  commit(expected?: { digest?: Digest; sizeBytes?: number }): Promise<BlobInfo>;
  abort(): Promise<void>;
}

export interface Ingester {
  writer(options: WriterOptions): Promise<Writer>;
  /** Small documents: write, verify, commit in one call. Already there: nothing is written. */
  put(bytes: Uint8Array, expected?: Digest): Promise<BlobInfo>;
  /**
   * An unverified part of a download, by key; a second caller of the same key waits for the first. Old ones end as broken-off writers do.
   * `isNeeded`: it is to become a blob, so bytes that cannot be kept are a failure of `append` or `adopt`.
   */
  partial(key: string, options?: { signal?: AbortSignal | undefined; isNeeded?: boolean }): Promise<PartialBlob>;
  /** A blob that is written beside other work, from its first byte: bytes that cannot be kept are a failure, and what a crash leaves is removed by the next start. */
  draft(): Promise<PartialBlob>;
  /**
   * A fresh file name on the store's filesystem for a worker thread that writes, hashes and fsyncs a blob by itself;
   * `adopt` renames it into place under the digest the worker computed. Unadopted files are removed at dispose or the next start.
   */
  stage(): Promise<StagedFile>;
}

export interface StagedFile extends AsyncDisposable {
  readonly path: string;
  /** Renames into place and fsyncs the folder. The caller vouches that the digest was computed over exactly these bytes. */
  adopt(blob: BlobInfo): Promise<void>;
}

export interface Manager {
  stat(digest: Digest): Promise<BlobInfo | undefined>;
  list(): AsyncIterable<BlobInfo>;
  /**
   * Absent is fine. The blob is gone when this returns; its blocks are freed in the background. `storedBefore` (a `performance.now()` of this process) leaves a blob alone that was stored at or after that moment: a
   * collector which decided earlier must not take what an ingest has just vouched for.
   */
  delete(digest: Digest, options?: { storedBefore?: number }): Promise<void>;
  /** Waits until the blocks of what was deleted so far are free. */
  settled(): Promise<void>;
  /** Ingests in flight (key hash, bytes, last write), for df and expiry. */
  ingests(): Promise<readonly { name: string; sizeBytes: number; modified: Date }[]>;
  removeIngest(name: string): Promise<void>;
  /** Removes what earlier tries left, but not what is being written. */
  removeLeftIngests(): Promise<void>;
}

/** Bytes of a download that is not whole yet; nothing about them is verified. Dispose keeps them for another try. */
export interface PartialBlob extends AsyncDisposable {
  /** There from earlier tries. */
  readonly sizeBytes: number;
  read(): ByteSource;
  /** Best effort (unless it is needed) and not synced: what cannot be kept is not. The chunk must not change afterwards. */
  append(chunk: Uint8Array): Promise<void>;
  /** Syncs it and renames it into place. The caller vouches that what was read and appended has this digest. @throws `data-loss` when not all was kept. */
  adopt(blob: BlobInfo): Promise<void>;
  remove(): Promise<void>;
}

/** What a collector and a verifier ask beyond the store's everyday work. */
export interface Inspection {
  /** Paths below the store's root that are neither blobs, ingests nor staged files. */
  strays(): Promise<readonly string[]>;
  /** True when this process stored the blob, or found it in place while storing it again, at or after `moment` (`performance.now()`). */
  storedSince(digest: Digest, moment: number): boolean;
  /** Its bytes were found damaged: it counts as absent, until it is stored again, which replaces them. What has them open keeps them. */
  distrust(digest: Digest): void;
  /** Its bytes were found to be right after all. */
  trust(digest: Digest): void;
  distrusted(): readonly Digest[];
}

/** Blobs whose files hold a part of their bytes: see `Recipe`. Who replaces a file vouches that with its recipe it reads as before. */
export interface Recipes {
  /** Puts a synced file in place that lacks what the recipe names. @throws `not-found`. */
  lighten(digest: Digest, staged: string, recipe: Uint8Array): Promise<void>;
  /** Puts a synced file in place that lacks less than the one there, and what remains of the recipe. @throws `not-found`. */
  refill(digest: Digest, staged: string, recipe: Uint8Array | undefined): Promise<void>;
  /** Blobs that have a recipe. */
  recipes(): Promise<readonly Digest[]>;
}

export interface ContentStore extends Provider, Ingester, Manager {}
