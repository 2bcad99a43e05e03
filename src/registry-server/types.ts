import type { Descriptor, Digest } from '#oci';
import type { ByteSource } from '#streams';

export interface ByteRange {
  readonly offset: number;
  readonly length: number;
}

/** Blobs by digest, whoever they belong to. Writing goes through uploads. */
export interface BlobStore {
  /** The size, or `undefined` when it is not there. */
  stat(digest: Digest): Promise<number | undefined>;
  open(digest: Digest, range?: ByteRange): ByteSource;
  /** Small documents. Already there: nothing is written. */
  put(digest: Digest, bytes: Uint8Array): Promise<void>;
  beginUpload(): Promise<Upload>;
}

/** Bytes on their way in. Not safe for concurrent calls. */
export interface Upload {
  readonly sizeBytes: number;
  /** Appends what arrives; when the source breaks, what came before stays. */
  append(source: ByteSource): Promise<void>;
  /** Verifies and moves into place, durably. @throws `data-loss` on another digest; the upload is gone then. */
  commit(digest: Digest): Promise<void>;
  abort(): Promise<void>;
}

/** A manifest as a repository has it. */
export interface StoredManifest {
  readonly digest: Digest;
  readonly mediaType: string;
}

/** What repositories hold. Names are valid repository paths. */
export interface MetaStore {
  /** Sorted. */
  repositories(): Promise<readonly string[]>;
  hasRepository(name: string): Promise<boolean>;
  hasBlob(name: string, digest: Digest): Promise<boolean>;
  linkBlob(name: string, digest: Digest): Promise<void>;
  /** Answers whether it was there. */
  unlinkBlob(name: string, digest: Digest): Promise<boolean>;
  manifest(name: string, digest: Digest): Promise<StoredManifest | undefined>;
  putManifest(
    name: string,
    manifest: StoredManifest,
    subject?: { digest: Digest; referrer: Descriptor },
  ): Promise<void>;
  /** Also drops the tags that point to it. */
  removeManifest(name: string, digest: Digest): Promise<boolean>;
  /** Sorted. */
  tags(name: string): Promise<readonly string[]>;
  tag(name: string, tag: string): Promise<Digest | undefined>;
  putTag(name: string, tag: string, digest: Digest): Promise<void>;
  removeTag(name: string, tag: string): Promise<boolean>;
  /** Manifests whose `subject` is the digest. */
  referrers(name: string, digest: Digest): Promise<readonly Descriptor[]>;
}
