import type { ChainID, Descriptor, DiffID, Digest, Platform } from '#oci';
import type { LayerSources } from './layer-sources.ts';
import type { RecoverResult } from './recovery.ts';

/** An image: a target (index or manifest) with the manifest and config of the platform chosen. */
export interface ImageRecord {
  /** Config digest: what Docker shows as the image ID. Unique. */
  readonly id: Digest;
  /** What names point to: an index, a manifest list or a manifest. */
  readonly target: Descriptor;
  /** The platform's manifest (equal to `target` unless that is an index). */
  readonly manifest: Descriptor;
  /** What it runs on, as its index or its config says; undefined of one that was stored before this was noted. */
  readonly platform?: Platform;
  readonly diffIDs: readonly DiffID[];
  /** Sum of the uncompressed layers, bytes. */
  readonly sizeBytes: number;
  /** What is shown as `Created`: from the config, or when it was made here. Milliseconds since the epoch; 0 when absent. */
  readonly createdMs: number;
  /** `createdMs` is when it was made here, which its config does not tell. */
  readonly isMadeHere?: boolean;
  /** Nobody asked for the image itself: the result of a build whose files alone were wanted. Without a name it is not listed. */
  readonly isByTheWay?: boolean;
  /** Classic build and commit remember the image they grew from. */
  readonly parent?: Digest;
  /** When it came into this store and when a name was last set, milliseconds. */
  readonly storedMs: number;
  readonly lastTaggedMs?: number;
  /** Labels of the config, for filters. */
  readonly labels: Readonly<Record<string, string>>;
  /** Full names with tag, `docker.io/library/busybox:latest`, sorted. */
  readonly names: readonly string[];
  /** Of those names that point at another target than the image's own: at which. */
  readonly nameTargets: Readonly<Record<string, Descriptor>>;
  /** Full digested names, `docker.io/library/busybox@sha256:…`, sorted. */
  readonly repoDigests: readonly string[];
  /** Every target it came by, and its manifests there. Images that share an index are its platforms. */
  readonly targets: readonly Digest[];
}

/** Where a name goes, when not simply to the image that is put. */
export interface PutOptions {
  /** Names taken from other images can be given back. */
  readonly keep?: Keeping | undefined;
  /** The names go to this image: another platform of the same target, which is here already. */
  readonly holder?: Digest | undefined;
}

export interface NewImage {
  readonly id: Digest;
  readonly target: Descriptor;
  readonly manifest: Descriptor;
  readonly platform?: Platform;
  readonly diffIDs: readonly DiffID[];
  readonly sizeBytes: number;
  readonly createdMs: number;
  readonly isMadeHere?: boolean;
  readonly parent?: Digest;
  readonly labels: Readonly<Record<string, string>>;
  /** Every blob this image keeps alive: target, manifests of it that are present, config, layers. */
  readonly references: readonly Digest[];
}

export interface ImageTable {
  get(id: Digest): ImageRecord | undefined;
  byName(name: string): ImageRecord | undefined;
  byTarget(digest: Digest): ImageRecord | undefined;
  /** The platforms of an index that are here, in the order they came. */
  members(target: Digest): readonly ImageRecord[];
  byRepoDigest(name: string): ImageRecord | undefined;
  /** Images whose config digest's hex starts with `hexPrefix`; at most two, to see an ambiguity. */
  byPrefix(hexPrefix: string): readonly ImageRecord[];
  /** In the order they came. The same array until an image changes. */
  list(): readonly ImageRecord[];
  childrenOf(id: Digest): readonly Digest[];
  /**
   * Inserts or refreshes the image, points the names at it (taking them from other images) and adds the repo digests: one transaction.
   * Referenced blobs without a row get one. A known image keeps its `createdMs`, and its target when it has repo digests and none are given.
   * @throws `failed-precondition` when the bytes of a referenced blob are not in the store.
   */
  put(image: NewImage, names?: readonly string[], repoDigests?: readonly string[], options?: PutOptions): Promise<void>;
  /** Points a name at an existing image, and at a target that is not its own when one is given. Answers the image that had it before. */
  tag(id: Digest, name: string, keep?: Keeping, target?: Descriptor): Promise<Digest | undefined>;
  /** Names and digested names of this image; absent ones, and those that meanwhile point elsewhere, are fine. */
  untag(id: Digest, names: readonly string[], keep?: Keeping): Promise<void>;
  addRepoDigest(id: Digest, name: string): Promise<void>;
  /**
   * The image is one of the platforms of this index from now on, which a lease has to name; what its names and it itself point at stays.
   * @throws `not-found`, `failed-precondition`
   */
  addIndex(id: Digest, index: Digest): Promise<void>;
  /** Whether the image was asked for as such. Nothing happens when it is gone. */
  setByTheWay(id: Digest, isByTheWay: boolean): Promise<void>;
  /** Compressed forms of layers that images keep beside the layers themselves. */
  retained(): readonly { readonly imageID: Digest; readonly digest: Digest }[];
  /** The image keeps these from now on, which a lease has to name; nothing happens when the image is gone. */
  keepBlobs(id: Digest, digests: readonly Digest[]): Promise<void>;
  /** The image keeps these no longer: for what {@link retained} answered. */
  releaseBlobs(id: Digest, digests: readonly Digest[]): Promise<void>;
  /**
   * Removes image, names and repo digests in one step, if it is still what the caller decided about: a pull, tag, build or create that came
   * in between is not undone. Without `expected`, whatever it is by now. Its blobs and layers become garbage when nothing else reaches them.
   */
  remove(id: Digest, expected?: ExpectedImage, keep?: Keeping): Promise<RemoveImageOutcome>;
}

/** `kept`: it has other names or children now, or the container `usedBy` stands on it. */
export type RemoveImageOutcome = { readonly kind: 'removed' } | { readonly kind: 'kept'; readonly usedBy?: string };

/** What an image may have and still be removed. Never one with children. */
export interface ExpectedImage {
  /** Names and digested names; having fewer is fine. */
  readonly names: readonly string[];
  /** No container may stand on it. */
  readonly unused: boolean;
}

export interface LayerRecord {
  readonly diffID: DiffID;
  readonly sizeBytes: number;
  readonly createdMs: number;
}

/** A compressed form ever seen of a layer, and where it lives. */
export interface LayerOrigin {
  readonly diffID: DiffID;
  readonly descriptor: Descriptor;
  /** `host/path` of the repository, or empty for a local one. */
  readonly repository: string;
}

export interface LayerTable {
  get(diffID: DiffID): LayerRecord | undefined;
  list(): readonly LayerRecord[];
  /** The blob and layer rows; the content must be in place, and a live lease must name the digest. */
  put(layer: LayerRecord, origin?: LayerOrigin): Promise<void>;
  origins(diffID: DiffID): readonly LayerOrigin[];
  addOrigin(origin: LayerOrigin): Promise<void>;
  byOrigin(compressed: Digest): LayerRecord | undefined;
  /** The top layer of each chain that something may be derived for. */
  chainTops(): ReadonlyMap<ChainID, DiffID>;
  /** Whether an image, a container or a build cache record stands on it. */
  isInUse(chain: ChainID): boolean;
}

export interface BlobUse {
  readonly digest: Digest;
  readonly images: readonly Digest[];
  /** Containers that stand on it as a layer. */
  readonly containers: readonly string[];
  readonly isCached: boolean;
  /** The oldest entry of the journal that keeps it. */
  readonly undo: number | undefined;
}

export interface BlobTable {
  has(digest: Digest): boolean;
  list(): readonly { digest: Digest; sizeBytes: number }[];
  /** Every blob with what keeps it in the store. */
  uses(): readonly BlobUse[];
  put(digest: Digest, sizeBytes: number): Promise<void>;
}

/** Keeps digests from the collector until disposed; survives a crash until it expires, so that a restart resumes rather than loses. */
export interface Lease extends AsyncDisposable {
  readonly id: string;
  add(...digests: readonly Digest[]): Promise<void>;
  /** In place of ending: what was stored so far stays for the time given, restarts included, for another try. Disposing does nothing then. */
  leave(lifeMs: number): Promise<void>;
}

/** JSON documents by id with a unique name. Values are plain JSON; the module that owns them decodes. */
export interface DocumentTable<T extends { readonly id: string; readonly name: string }> {
  get(id: string): T | undefined;
  byName(name: string): T | undefined;
  /** At most two, to see an ambiguity. */
  byPrefix(prefix: string): readonly T[];
  list(): readonly T[];
  /** @throws `already-exists` when another document has the name. `durable: false` allows the last writes to be lost by a power cut (never by a crash). */
  put(document: T, options?: { durable?: boolean }): Promise<void>;
  remove(id: string): Promise<void>;
}

export interface BuildCacheRecord {
  /** Content-based key of the step. */
  readonly key: string;
  /** Image ID the step produced (a classic build's intermediate image), or the snapshot's diff. */
  readonly result: { readonly diffIDs: readonly DiffID[]; readonly imageID?: Digest };
  readonly description: string;
  /** The parts the key was made of, for explanations. */
  readonly components: unknown;
  readonly sizeBytes: number;
  /** How long the step took when it ran; absent for a result that came from elsewhere. */
  readonly durationMs?: number;
  readonly createdMs: number;
  readonly lastUsedMs: number;
  readonly usageCount: number;
}

export interface BuildCacheTable {
  get(key: string): BuildCacheRecord | undefined;
  list(): readonly BuildCacheRecord[];
  /** Also keeps the result's layers alive. */
  put(record: BuildCacheRecord): Promise<void>;
  touch(key: string, atMs: number): Promise<void>;
  remove(keys: readonly string[], keep?: Keeping): Promise<void>;
}

/** Under what something is removed that can be brought back: one for everything that one call removes. See {@link Journal}. */
export interface Keeping {
  readonly number: number;
  /** What was done: `rmi`, `image prune`. */
  readonly action: string;
  /** What it was done to, as people name it. */
  readonly subject: string;
  readonly atMs: number;
}

export type KeptKind = 'image' | 'names' | 'moved' | 'container' | 'volume' | 'build-cache';

/** One call that removed something, as far as it is still kept. */
export interface JournalEntry extends Keeping {
  /** `name`: of a container, which goes by its ID. */
  readonly kept: readonly { readonly kind: KeptKind; readonly key: string; readonly name?: string }[];
  /** On the disk, of the folders of containers and volumes in it; undefined until they were measured. */
  readonly folderBytes: number | undefined;
}

/** What a call that was undone has given back. */
export interface Restored {
  readonly images: readonly Digest[];
  readonly names: readonly { readonly name: string; readonly imageID: Digest }[];
  readonly containers: readonly ContainerDocument[];
  /** Their folders are the caller's to bring back. */
  readonly volumes: readonly string[];
  readonly cacheKeys: readonly string[];
  /** What did not come back, and why. */
  readonly notes: readonly string[];
}

/** What is dropped from the journal: the folders of these are nobody's any more. */
export interface DroppedEntry {
  readonly number: number;
  readonly containers: readonly string[];
  readonly volumes: readonly string[];
}

export interface KeptBlob {
  readonly digest: Digest;
  readonly sizeBytes: number;
  readonly number: number;
}

/**
 * What was removed with a {@link Keeping}. Its rows are written in the transaction that removes, so a crash leaves either the thing or the way back.
 * Blobs it names stay in the store until it is dropped.
 */
export interface Journal {
  /** For the next call that removes; undefined when nothing is kept at present. */
  keeping(action: string, subject: string): Keeping | undefined;
  readonly isEmpty: boolean;
  /** Oldest first. */
  list(): readonly JournalEntry[];
  get(number: number): JournalEntry | undefined;
  /** Whether the folder of a volume or a container is kept by this entry. */
  has(number: number, kind: KeptKind, key: string): boolean;
  /** IDs of the containers whose folders are kept. */
  containers(): ReadonlySet<string>;
  /** Volumes whose folders are kept, with the entry that does; one name may come several times. */
  volumes(): readonly { readonly number: number; readonly name: string }[];
  /** Removes the rows of containers and volumes together; their folders are the caller's to keep. */
  retire(what: { containers?: readonly string[]; volumes?: readonly string[] }, keep: Keeping): Promise<void>;
  /**
   * Gives everything back that has its place: a name that is meanwhile taken stays where it is, and is told of.
   * @throws `not-found`; `conflict` when nothing can come back, a container's or a volume's name is taken, or something it stands on was removed later.
   */
  restore(number: number): Promise<Restored>;
  /** Forgets entries; what only they kept is garbage. Absent is fine. */
  drop(numbers: readonly number[]): Promise<readonly DroppedEntry[]>;
  setFolderBytes(number: number, bytes: number): Promise<void>;
  /** Blobs that nothing but the journal keeps, with the earliest entry that does. */
  blobs(): readonly KeptBlob[];
}

export interface CollectResult {
  readonly blobs: readonly Digest[];
  readonly layers: readonly DiffID[];
  readonly freedBytes: number;
}

export interface DamagedBlobsOptions {
  readonly signal?: AbortSignal | undefined;
  /** Only those after this one, in the order of their digests. */
  readonly after?: Digest;
  /** Called after each that was read, and waited for. */
  readonly onRead?: (digest: Digest, sizeBytes: number) => Promise<void>;
}

export interface DamagedBlob {
  readonly digest: Digest;
  readonly fault: string;
  /** What stands on it, as people name it. */
  readonly harm: readonly string[];
}

export interface Metadata extends AsyncDisposable {
  readonly images: ImageTable;
  readonly layers: LayerTable;
  readonly blobs: BlobTable;
  readonly containers: DocumentTable<ContainerDocument>;
  readonly networks: DocumentTable<NamedDocument>;
  readonly volumes: DocumentTable<NamedDocument>;
  readonly buildCache: BuildCacheTable;
  readonly journal: Journal;
  readonly layerSources: LayerSources;
  /**
   * A lease lasts as long as its holder. `ttlMs`, counted from the last `add`, makes it outlive a crash by so much, for work that the next
   * process resumes; without it a crash ends it.
   */
  lease(options?: { ttlMs?: number }): Promise<Lease>;
  /** Ends leases that were left for another try: those that name the digest, or all. A collection takes what they kept. */
  dropLeft(digest?: Digest): Promise<void>;
  /**
   * Deletes blobs, layers and derived files that no image, container, build cache record or live lease reaches. Beside everything
   * else: takes a digest's lock, drops the row, unlinks. Calls are serialised.
   */
  collect(options?: { signal?: AbortSignal | undefined }): Promise<CollectResult>;
  /**
   * Once, before anything else: ends the leases of crashed processes, removes files that neither a row nor a live lease names, then collects.
   */
  recover(): Promise<RecoverResult>;
  /** A value that survives restarts: the daemon's ID, say. */
  setting(key: string): string | undefined;
  setSetting(key: string, value: string): Promise<void>;
  readonly uploads: UploadTable;
  /** Reads every blob: those whose bytes are not what their digest says, and what stands on them. They count as absent from then on. */
  damagedBlobs(options?: DamagedBlobsOptions): AsyncIterable<DamagedBlob>;
  /** Rehashes every blob, compares rows, files and references; one line per fault. */
  verify(options?: { signal?: AbortSignal | undefined }): AsyncIterable<string>;
}

/** Uploads to registries that were begun and did not end, for a day. */
export interface UploadTable {
  /** Where one goes on; it is forgotten. */
  take(key: string): Promise<string | undefined>;
  keep(key: string, location: string): Promise<void>;
}

export interface NamedDocument {
  readonly id: string;
  readonly name: string;
  readonly body: unknown;
}

export interface ContainerDocument extends NamedDocument {
  /** Layers this container's snapshot stands on: kept alive. */
  readonly chain: readonly DiffID[];
  /** Those of images it has mounted beside its own. */
  readonly mountedChains?: readonly (readonly DiffID[])[];
  readonly imageID?: Digest;
}

export type { ChainID };
