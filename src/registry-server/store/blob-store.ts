import type { FileHandle } from 'node:fs/promises';
import type { Digest, DigestAlgorithm } from '#oci';
import type { ByteSource } from '#streams';

export interface ByteRange {
  readonly offset: number;
  readonly length: number;
}

export interface StoredBlob {
  readonly digest: Digest;
  readonly sizeBytes: number;
  readonly storedMs: number;
}

/**
 * Blobs by digest, whoever they belong to; what is there never changes. Writing goes through uploads. Knows no repositories: which blob
 * may go is for the caller to know, who holds the digest's lock while it removes or commits.
 */
export interface BlobStore {
  /** The size, or `undefined` when it is not there. */
  stat(digest: Digest): Promise<number | undefined>;
  /** A reader that has begun reads to the end, also when the blob is removed meanwhile. */
  open(digest: Digest, range?: ByteRange): ByteSource;
  /** Where a blob is a file of this machine: the file, for the caller to close. */
  openFile?(digest: Digest): Promise<FileHandle>;
  /** Answers whether it was there. */
  remove(digest: Digest): Promise<boolean>;
  /** In no order. */
  list(): AsyncIterable<StoredBlob>;
  /** A new upload under a key of the caller's: letters, digits, `-`. */
  beginUpload(key: string, algorithm: DigestAlgorithm): Promise<Upload>;
  /** An upload that an earlier process began, with what had reached the disk; `undefined` when there is none. */
  resumeUpload(key: string, algorithm: DigestAlgorithm): Promise<Upload | undefined>;
  /** Removes uploads that nobody has written to since; the caller's own are not among them when it writes. */
  sweepUploads(untouchedSinceMs: number): Promise<void>;
}

/** Bytes on their way in. Not safe for concurrent calls, but for `read`. */
export interface Upload {
  readonly sizeBytes: number;
  /** Appends what arrives, and takes the chunks for its own: their memory may be gone afterwards. When the source breaks, what came before stays. */
  append(source: ByteSource): Promise<void>;
  /** What has been appended, from `offset`; at most `length` bytes, none at the end. Works until commit or abort. */
  read(offset: number, length: number): Promise<Uint8Array>;
  /** Hashes what has been appended, without ending the upload. */
  digest(algorithm: DigestAlgorithm): Promise<Digest>;
  /** Verifies and moves into place, durably. @throws `data-loss` on another digest; the upload is gone then. */
  commit(digest: Digest): Promise<void>;
  abort(): Promise<void>;
  /** Stops writing and leaves what is there for `resumeUpload`. */
  suspend(): Promise<void>;
}
