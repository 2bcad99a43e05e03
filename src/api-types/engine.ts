import type { BuildStepExplanation } from './build-explanation.ts';
import type { BuildKitDoors } from './buildkit.ts';
import type { FileUsage, FileUsageOptions } from './file-usage.ts';
import type { BlameOptions, ImageBlame } from './image-blame.ts';
import type { CompareImagesOptions, ImageDifference } from './image-comparison.ts';
import type { ImageFile, ImageFileFacts, ListFilesOptions } from './image-files.ts';
import type {
  AttestationOptions,
  AttestationStatement,
  AuthAnswer,
  AuthConfig,
  BuildCachePruned,
  BuildDebugOptions,
  BuildOptions,
  ChangeItem,
  CommitOptions,
  ContainerCreateConfig,
  ContainerCreated,
  ContainerInspect,
  ContainerStats,
  ContainerSummary,
  ContainersPruned,
  ContainerTop,
  ContainerUpdateConfig,
  DiskAccount,
  DiskUsage,
  DistributionInspect,
  EventMessage,
  ExecCreateConfig,
  ExecInspect,
  HistoryItem,
  ImageDeleteItem,
  ImageInspect,
  ImageSearchResult,
  ImageSummary,
  ImagesPruned,
  ListedContext,
  NetworkConnectConfig,
  NetworkCreateConfig,
  NetworkCreated,
  NetworkDisconnectConfig,
  NetworkInspect,
  NetworksPruned,
  ProgressMessage,
  RepairItem,
  SaveBase,
  SystemInfo,
  SystemVersion,
  TrashEmptied,
  UndoItem,
  UndoneItem,
  Volume,
  VolumeCreateConfig,
  VolumeList,
  VolumesPruned,
  WaitAnswer,
} from './shapes.ts';

export type ByteStream = AsyncIterable<Uint8Array>;

/** Every call that waits takes a signal; aborting it cancels the work and leaves nothing behind. */
export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}

/** Filters as the API has them: key to values, all spelled as in `--filter`. */
export type Filters = Readonly<Record<string, readonly string[]>>;

/** How much of the build cache a prune leaves, in bytes; zero is no bound. */
export interface CacheSpace {
  /** Never prune to less than this. */
  readonly reservedSpaceBytes?: number;
  /** Prune to this. */
  readonly maxUsedSpaceBytes?: number;
  /** Prune until so much of the disk is free. */
  readonly minFreeSpaceBytes?: number;
}

/**
 * A container engine: Docker's, as a library. `Engine.open` gives one over a data root in this process, `Engine.connect` one over a daemon's socket.
 * Failures are `EngineError`s whose kind maps to Docker's status codes and whose message is Docker's where clients match it.
 * Streams of progress are async iterables: leaving one early cancels the work; an error that ends the work is thrown from the iteration.
 */
export interface Engine extends AsyncDisposable {
  readonly images: Images;
  readonly containers: Containers;
  readonly execs: Execs;
  readonly networks: Networks;
  readonly volumes: Volumes;
  readonly system: System;
  readonly trash: Trash;
  /** For servers. Absent where the engine is reached over a socket: such clients speak to `/grpc` and `/session` themselves. */
  readonly buildKit?: BuildKitDoors;
  /** Classic build: the context is a tar (plain or compressed). `aux` messages carry the image ID. */
  build(context: ByteStream, options?: BuildOptions & CallOptions): AsyncIterable<ProgressMessage>;
  /** The same with a context that is listed: only contents that are not known here are asked for. */
  buildListed(context: ListedContext, options?: BuildOptions & CallOptions): AsyncIterable<ProgressMessage>;
  /**
   * Makes the next start of the container that a failed step left run a command, by default a shell, in its place: attach, then start. Answers its ID.
   * An extension of this engine.
   */
  debugBuild(container: string, options?: BuildDebugOptions & CallOptions): Promise<string>;
  pruneBuildCache(options?: { all?: boolean; filters?: Filters } & CacheSpace & CallOptions): Promise<BuildCachePruned>;
}

export interface Images {
  list(options?: {
    all?: boolean;
    filters?: Filters;
    sharedSize?: boolean;
    digests?: boolean;
    manifests?: boolean;
    /** With `manifests`: where each is from. */
    identity?: boolean;
  }): Promise<readonly ImageSummary[]>;
  inspect(name: string, options?: { platform?: string; manifests?: boolean }): Promise<ImageInspect>;
  /** What each step of the build that made an image did, and why (`/wherry/v1/builds/{name}`). @throws `not-found` when none is remembered. */
  buildReport(name: string): Promise<readonly BuildStepExplanation[]>;
  /** Provenance and bills of materials that came with an image. @throws `not-found` for a platform that its index does not have. */
  attestations(name: string, options?: AttestationOptions): Promise<readonly AttestationStatement[]>;
  history(name: string, options?: { platform?: string }): Promise<readonly HistoryItem[]>;
  /** Files of an image (`/wherry/v1/images/{name}/files`), in byte order of their names; nothing is mounted or run. */
  files(name: string, options?: ListFilesOptions & CallOptions): AsyncIterable<ImageFile>;
  /** One file and its bytes (`/wherry/v1/images/{name}/file`). @throws `failed-precondition` for what is no file. */
  file(name: string, path: string, options?: CallOptions): Promise<{ file: ImageFileFacts; content: ByteStream }>;
  /** Where every byte of an image comes from (`/wherry/v1/images/{name}/blame`). */
  blame(name: string, options?: BlameOptions & CallOptions): Promise<ImageBlame>;
  /** What two images differ in (`/wherry/v1/images/{name}/compare`): configurations, then files in byte order. */
  compare(before: string, after: string, options?: CompareImagesOptions & CallOptions): AsyncIterable<ImageDifference>;
  /** `reference` with neither tag nor digest is `:latest`; `allTags` pulls every tag. */
  pull(
    reference: string,
    options?: { platform?: string; allTags?: boolean; auth?: AuthConfig } & CallOptions,
  ): AsyncIterable<ProgressMessage>;
  /** `compress`: `zstd`, `gzip`, or one with a level (`zstd:10`), of layers that have to be compressed (`/wherry/v1/images/{name}/push`). */
  push(
    reference: string,
    options?: { allTags?: boolean; platform?: string; compress?: string; auth?: AuthConfig } & CallOptions,
  ): AsyncIterable<ProgressMessage>;
  /** A root filesystem tar becomes an image (`docker import`). The last message's `status` is the image ID. */
  import(
    source: ByteStream,
    options?: {
      repo?: string;
      tag?: string;
      message?: string;
      changes?: readonly string[];
      platform?: string;
      origin?: string;
    } & CallOptions,
  ): AsyncIterable<ProgressMessage>;
  /** `platforms`: of an index these alone; none is all that the archive has. */
  load(
    archive: ByteStream,
    options?: { quiet?: boolean; platforms?: readonly string[] } & CallOptions,
  ): AsyncIterable<ProgressMessage>;
  /** `since` leaves out what the other side has, be it parts of layers (`/wherry/v1/save`); `load` there makes the same images of it. */
  save(
    names: readonly string[],
    options?: { platforms?: readonly string[]; since?: SaveBase } & CallOptions,
  ): ByteStream;
  /** A list of the layers that are here, or of those of some images (`/wherry/v1/digests`): for a `save` elsewhere, as `since.list`. */
  digests(names?: readonly string[], options?: CallOptions): Promise<string>;
  tag(source: string, repo: string, tag?: string): Promise<void>;
  remove(
    name: string,
    options?: { force?: boolean; noPrune?: boolean; platforms?: readonly string[] },
  ): Promise<readonly ImageDeleteItem[]>;
  prune(options?: { filters?: Filters } & CallOptions): Promise<ImagesPruned>;
  search(
    term: string,
    options?: { limit?: number; filters?: Filters; auth?: AuthConfig } & CallOptions,
  ): Promise<readonly ImageSearchResult[]>;
  distribution(name: string, options?: { auth?: AuthConfig } & CallOptions): Promise<DistributionInspect>;
  commit(container: string, options?: CommitOptions & CallOptions): Promise<{ Id: string }>;
}

export interface AttachOptions {
  readonly stdin?: boolean;
  readonly stdout?: boolean;
  readonly stderr?: boolean;
  /** Replay the log first. */
  readonly logs?: boolean;
  /** Keep streaming; false with `logs` only replays. */
  readonly stream?: boolean;
  readonly detachKeys?: string;
}

/** Both directions of an attached process. Disposing detaches and never stops the process. */
export interface AttachedStreams extends AsyncDisposable {
  /** A terminal's bytes are not multiplexed: every chunk is `stdout`. */
  readonly tty: boolean;
  readonly output: AsyncIterable<{ readonly stream: 'stdout' | 'stderr'; readonly data: Uint8Array }>;
  write(data: Uint8Array): Promise<void>;
  closeInput(): Promise<void>;
}

/** A container's log. One of `output` and `wire` is read, once. */
export interface ContainerLogs {
  readonly tty: boolean;
  /** A line at a time, or what Docker makes of a line beyond 16 KiB. */
  readonly output: AsyncIterable<{ readonly stream: 'stdout' | 'stderr'; readonly data: Uint8Array }>;
  /** The same as the API sends it: a multiplexed stream with many frames to a chunk, or a terminal's bytes. */
  readonly wire: AsyncIterable<Uint8Array>;
}

export interface LogOptions extends CallOptions {
  readonly follow?: boolean;
  readonly stdout?: boolean;
  readonly stderr?: boolean;
  /** As in the API: seconds since the epoch with a fraction, RFC 3339, or a duration. */
  readonly since?: string;
  readonly until?: string;
  readonly timestamps?: boolean;
  readonly tail?: string;
  readonly details?: boolean;
  /** Frames may hold several messages of one stream: for who copies their bytes. Else each has a frame, as readers of lines want. */
  readonly joined?: boolean;
}

/** How to stop a process: the signal to begin with, and how long to wait before SIGKILL (negative: for ever). */
export interface StopOptions {
  readonly signal?: string;
  readonly timeoutSeconds?: number;
}

export interface ArchiveStat {
  readonly name: string;
  readonly size: number;
  /** Go's `os.FileMode` bits. */
  readonly mode: number;
  readonly mtime: string;
  readonly linkTarget: string;
}

export interface ContainerCreateOptions {
  readonly name?: string;
  readonly platform?: string;
  /** What is mounted below read-only binds stays writable, as before API 1.44. Since then a mount says so itself (`ReadOnlyNonRecursive`). */
  readonly readOnlyNonRecursive?: boolean;
}

export interface Containers {
  list(options?: {
    all?: boolean;
    limit?: number;
    size?: boolean;
    filters?: Filters;
  }): Promise<readonly ContainerSummary[]>;
  create(config: ContainerCreateConfig, options?: ContainerCreateOptions): Promise<ContainerCreated>;
  inspect(id: string, options?: { size?: boolean }): Promise<ContainerInspect>;
  start(id: string, options?: { detachKeys?: string } & CallOptions): Promise<void>;
  stop(id: string, options?: { signal?: string; timeoutSeconds?: number }): Promise<void>;
  restart(id: string, options?: { signal?: string; timeoutSeconds?: number }): Promise<void>;
  kill(id: string, options?: { signal?: string }): Promise<void>;
  pause(id: string): Promise<void>;
  unpause(id: string): Promise<void>;
  rename(id: string, name: string): Promise<void>;
  /** Limits and restart policy, of a running container too. */
  update(id: string, config: ContainerUpdateConfig): Promise<{ readonly Warnings: readonly string[] | null }>;
  /** Registers at once (the promise `accepted` resolves), answers when the condition holds. */
  wait(
    id: string,
    options?: { condition?: 'not-running' | 'next-exit' | 'removed' } & CallOptions,
  ): Promise<{ accepted: true; result: Promise<WaitAnswer> }>;
  remove(id: string, options?: { force?: boolean; volumes?: boolean; link?: boolean }): Promise<void>;
  prune(options?: { filters?: Filters }): Promise<ContainersPruned>;
  attach(id: string, options?: AttachOptions): Promise<AttachedStreams>;
  resize(id: string, size: { height: number; width: number }): Promise<void>;
  /** `details` and `timestamps` are already in the data. */
  logs(id: string, options?: LogOptions): Promise<ContainerLogs>;
  /** One sample, or one each second while the container exists. */
  stats(id: string, options?: { stream?: boolean; oneShot?: boolean } & CallOptions): AsyncIterable<ContainerStats>;
  top(id: string, psArgs?: string): Promise<ContainerTop>;
  changes(id: string): Promise<readonly ChangeItem[]>;
  /** `lend`: as of {@link getArchive}. */
  export(id: string, options?: { lend?: boolean } & CallOptions): Promise<ByteStream>;
  archiveStat(id: string, path: string): Promise<ArchiveStat>;
  /** `lend`: chunks are lent, each until the next is asked for; what is kept of one has to be copied. */
  getArchive(
    id: string,
    path: string,
    options?: { lend?: boolean } & CallOptions,
  ): Promise<{ stat: ArchiveStat; archive: ByteStream }>;
  /** `lent`: the archive's chunks are lent, each until the next is asked for. */
  putArchive(
    id: string,
    path: string,
    archive: ByteStream,
    options?: { noOverwriteDirNonDir?: boolean; copyUIDGID?: boolean; lent?: boolean } & CallOptions,
  ): Promise<void>;
}

export interface Execs {
  create(containerID: string, config: ExecCreateConfig): Promise<{ Id: string }>;
  /**
   * Starts and attaches; `undefined` when detached. `onAccepted` is called, and waited for, when nothing but the command itself can fail any more
   * and before it runs.
   */
  start(
    id: string,
    options: {
      detach: boolean;
      tty: boolean;
      consoleSize?: readonly [number, number];
      onAccepted?: () => Promise<void>;
    },
  ): Promise<AttachedStreams | undefined>;
  resize(id: string, size: { height: number; width: number }): Promise<void>;
  inspect(id: string): Promise<ExecInspect>;
}

export interface Networks {
  list(options?: { filters?: Filters }): Promise<readonly NetworkInspect[]>;
  /** `status` adds how much of its subnets is in use. */
  inspect(id: string, options?: { verbose?: boolean; scope?: string; status?: boolean }): Promise<NetworkInspect>;
  create(config: NetworkCreateConfig): Promise<NetworkCreated>;
  /** @throws `permission-denied` while a running container is on it. */
  remove(id: string): Promise<void>;
  /** At once when the container runs, else from its next start on. */
  connect(id: string, config: NetworkConnectConfig): Promise<void>;
  disconnect(id: string, config: NetworkDisconnectConfig): Promise<void>;
  prune(options?: { filters?: Filters }): Promise<NetworksPruned>;
}

export interface Volumes {
  list(options?: { filters?: Filters }): Promise<VolumeList>;
  create(config: VolumeCreateConfig): Promise<Volume>;
  inspect(name: string): Promise<Volume>;
  remove(name: string, options?: { force?: boolean }): Promise<void>;
  prune(options?: { filters?: Filters }): Promise<VolumesPruned>;
}

/** What was removed and is kept for a while. An extension of this engine. */
export interface Trash {
  /** What can be brought back, newest first. */
  list(): Promise<readonly UndoItem[]>;
  /**
   * Brings back what one call removed, or the last ones (one unless told), newest first; ends at the first that cannot come back.
   * @throws `not-found`; `conflict` when a container's or a volume's name is taken, or something it stands on was removed later.
   */
  undo(options?: { number?: number; count?: number }): Promise<readonly UndoneItem[]>;
  /** Frees all of it; answers when the disk has it back. */
  empty(): Promise<TrashEmptied>;
}

export interface System {
  ping(): Promise<void>;
  info(): Promise<SystemInfo>;
  version(): Promise<SystemVersion>;
  df(options?: { types?: readonly string[] }): Promise<DiskUsage>;
  /** What is on the disk, to the byte (`/wherry/v1/disk`). An extension of this engine. */
  account(): Promise<DiskAccount>;
  /** Files that layers of images have several times (`/wherry/v1/files`). The first look at a layer reads it. */
  fileUsage(options?: FileUsageOptions & CallOptions): Promise<FileUsage>;
  auth(config: AuthConfig): Promise<AuthAnswer>;
  /** Past events since `since` first, then live ones until `until` or the consumer leaves. */
  events(options?: { since?: string; until?: string; filters?: Filters } & CallOptions): AsyncIterable<EventMessage>;
  /** Rehashes everything and cross-checks rows, files and references: one line per fault (`/wherry/v1/verify`). */
  verify(options?: CallOptions): AsyncIterable<string>;
  /** The same for blobs and indexes, and brings back what is damaged: blobs from the registries they came from. */
  repair(options?: CallOptions): AsyncIterable<RepairItem>;
}
