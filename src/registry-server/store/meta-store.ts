import type { Descriptor, Digest } from '#oci';

export interface Page {
  /** Begins after this entry. */
  readonly after?: string | undefined;
  readonly limit?: number | undefined;
}

export interface RepositoryCatalog {
  /** Names of repositories that have a manifest, sorted by bytes. */
  repositories(page?: Page): Promise<readonly string[]>;
  /** Whether anything was ever pushed to it, and is not forgotten. */
  hasRepository(name: string): Promise<boolean>;
}

/** Which repository may serve which blob. */
export interface BlobLinks {
  /** The blob's size, or `undefined` when the repository does not have it. */
  blob(name: string, digest: Digest): Promise<number | undefined>;
  /** Until `claimUntilMs` it is kept without a manifest that refers to it. */
  linkBlob(name: string, blob: { digest: Digest; sizeBytes: number }, claimUntilMs: number): Promise<void>;
  /** Answers whether it was there. */
  unlinkBlob(name: string, digest: Digest): Promise<boolean>;
  /** Repositories that have the blob, a few of them. */
  holders(digest: Digest): Promise<readonly string[]>;
}

/** A manifest as a repository has it. */
export interface StoredManifest {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly sizeBytes: number;
  readonly pushedMs: number;
}

export interface NewManifest {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly bytes: Uint8Array;
  /** What it refers to and the repository must have: config and layers, or children. */
  readonly blobs: readonly Digest[];
  readonly children: readonly Digest[];
  /** What it refers to and the repository need not have (yet): it is fetched when it is asked for. */
  readonly expected?: readonly Descriptor[];
  readonly subject?: { readonly digest: Digest; readonly referrer: Descriptor } | undefined;
  readonly tags: readonly string[];
}

export interface UnusedOptions {
  readonly beforeMs: number;
  readonly after?: { readonly repository: string; readonly digest: string } | undefined;
  readonly limit: number;
}

export interface UnusedManifest {
  readonly repository: string;
  readonly digest: Digest;
  readonly usedMs: number;
}

export interface OccupancyOptions {
  readonly after?: Pick<Occupant, 'repository' | 'manifest' | 'digest'> | undefined;
  readonly limit: number;
}

/** A blob, or a child manifest, that a manifest refers to and that is here. */
export interface Occupant {
  readonly repository: string;
  readonly manifest: Digest;
  readonly digest: Digest;
  readonly sizeBytes: number;
  /** When the manifest came, or was pulled last. */
  readonly usedMs: number;
}

export interface Manifests {
  manifest(name: string, digest: Digest): Promise<StoredManifest | undefined>;
  /** The bytes of a manifest that some repository has. */
  manifestBytes(digest: Digest): Promise<Uint8Array | undefined>;
  /** Which of these the repository lacks. */
  missing(name: string, wanted: { blobs: readonly Digest[]; children: readonly Digest[] }): Promise<readonly Digest[]>;
  /** All of it or nothing, durably. @throws `failed-precondition` when a blob or child is not there (any more). */
  putManifest(name: string, manifest: NewManifest): Promise<void>;
  /** Also drops the tags that point to it. Answers whether it was there. */
  removeManifest(name: string, digest: Digest): Promise<boolean>;
  /** They are being pulled just now. Not durable: what a crash forgets is pulled again. */
  noteUse(uses: ReadonlyMap<string, ReadonlySet<Digest>>): Promise<void>;
  /** Manifests that came, and were pulled last, before a time; ordered by repository and digest, which `after` goes on from. */
  unused(options: UnusedOptions): Promise<readonly UnusedManifest[]>;
  /** Blobs that are here for a manifest, and how large; ordered by repository, manifest and digest, which `after` goes on from. */
  occupancy(options: OccupancyOptions): Promise<readonly Occupant[]>;
  /** Manifests whose `subject` is the digest, oldest first. */
  referrers(name: string, digest: Digest): Promise<readonly Descriptor[]>;
  /** The size of something a manifest of the repository refers to. */
  expectedSize(name: string, digest: Digest): Promise<number | undefined>;
}

export interface StoredTag {
  readonly digest: Digest;
  readonly updatedMs: number;
  /** When an upstream last said that it is so. */
  readonly checkedMs: number;
}

export interface Tags {
  /** Sorted by bytes. */
  tags(name: string, page?: Page): Promise<readonly string[]>;
  tag(name: string, tag: string): Promise<StoredTag | undefined>;
  /** Of a manifest that the repository has. @throws `failed-precondition` when it does not. */
  putTag(name: string, tag: string, digest: Digest): Promise<void>;
  removeTag(name: string, tag: string): Promise<boolean>;
}

/** What was deleted and is not yet forgotten. */
export interface Deleted {
  readonly repository: string;
  readonly kind: 'tag' | 'manifest' | 'blob';
  /** The tag or the digest. */
  readonly reference: string;
  readonly deletedMs: number;
}

export interface CollectOptions {
  /** What was deleted before is forgotten. */
  readonly deletedBeforeMs: number;
  /** Blobs that some client is about to refer to. */
  readonly isExpected: (name: string, digest: Digest) => boolean;
  readonly nowMs: number;
}

/** Deleting is at once for readers and for good only after a while. */
export interface Collection {
  deleted(): Promise<readonly Deleted[]>;
  /** Takes a deletion back, with the tags that went along with a manifest. Answers whether there was one. */
  restore(name: string, kind: Deleted['kind'], reference: string): Promise<boolean>;
  /** Forgets what may be forgotten; answers blobs that no repository has any more, which the caller then asks about with `isHeld`. */
  collect(options: CollectOptions): Promise<readonly Digest[]>;
  isHeld(digest: Digest): Promise<boolean>;
  /** Blobs that some repository has, sorted. */
  heldBlobs(page: Page): Promise<readonly Digest[]>;
  /** Repositories, with the tags and manifests in them, that a damaged blob hurts. */
  affected(digest: Digest): Promise<readonly { repository: string; manifest: Digest; tags: readonly string[] }[]>;
}

/** A repository as people look for it. */
export interface RepositoryEntry {
  readonly name: string;
  readonly description: string;
  readonly isOfficial: boolean;
  readonly stars: number;
  readonly pulls: number;
  readonly pushedMs: number;
}

export interface SearchOptions {
  /** All words have to be part of name, description or labels; none finds everything. */
  readonly words: readonly string[];
  readonly offset: number;
  readonly limit: number;
  /** Others are as if they were not there. */
  readonly isVisible?: ((name: string) => boolean) | undefined;
}

/** What people know a repository by. */
export interface Hub {
  /** The best first: named exactly so, official, stars, pulls, name. Only repositories that have a manifest. */
  search(options: SearchOptions): Promise<{ total: number; entries: readonly RepositoryEntry[] }>;
  entry(name: string): Promise<(RepositoryEntry & { readonly readme: string; readonly createdMs: number }) | undefined>;
  /** What somebody wrote; from then on images no longer describe the repository. Answers whether there is such a repository. */
  describe(name: string, words: { description?: string; readme?: string }): Promise<boolean>;
  /** What an image says of itself. */
  describeByImage(name: string, words: { description?: string; readme?: string; labels: string }): Promise<void>;
  /** One star per user. Answers whether there is such a repository. */
  star(name: string, user: string, isStarred: boolean): Promise<boolean>;
  isStarred(name: string, user: string): Promise<boolean>;
  /** A power cut may lose them. */
  addPulls(counts: ReadonlyMap<string, number>): Promise<void>;
}

export interface Delivery {
  readonly id: number;
  readonly url: string;
  readonly body: string;
  readonly createdMs: number;
  readonly tries: number;
}

/** Messages for others, until they have been taken. */
export interface Deliveries {
  addDeliveries(deliveries: readonly { url: string; body: string }[]): Promise<void>;
  /** Oldest first. */
  dueDeliveries(nowMs: number, limit: number): Promise<readonly Delivery[]>;
  postponeDelivery(id: number, untilMs: number): Promise<void>;
  endDelivery(id: number): Promise<void>;
}

/** Small facts that all servers on one store share. */
export interface Settings {
  /** Keeps the value unless there is one already; answers the one that is kept. */
  keepSetting(key: string, value: string): Promise<string>;
}

/**
 * What repositories hold. Names are valid repository paths. Asynchronous, so that a database elsewhere can be behind it; a write has
 * reached the disk when it resolves, unless said otherwise.
 */
export interface MetaStore
  extends RepositoryCatalog,
    BlobLinks,
    Manifests,
    Tags,
    Collection,
    Hub,
    Deliveries,
    Settings,
    AsyncDisposable {}
