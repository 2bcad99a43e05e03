import type { Duplex } from 'node:stream';
import type { BuildStepExplanation, ListedContext } from '#api-types';
import type { ContentStore } from '#content';
import type { ListedEntry, ListingHeader } from '#context-listing';
import type { LayerIngester } from '#diff';
import type { MakeRoom } from '#files';
import type { Metadata } from '#metadata';
import type { DiffID, Digest, ImageConfig, Platform } from '#oci';
import type { SnapshotDriver } from '#snapshots';
import type { ByteSource } from '#streams';
import type { OnProgress } from '#transfer';
import type { Written } from './convert/index.ts';
import type { FileLists } from './file-lists.ts';
import type { FileOwner, HandedOver, LentFile } from './handed-over.ts';
import type { ImagesInUse } from './images-in-use.ts';
import type { ContextMemory } from './listed/index.ts';
import type { OnStatus } from './progress/types.ts';

/** A mount of a RUN step, ready to be made. Later ones may lie inside earlier ones. */
export type StepMount =
  | { readonly kind: 'bind'; readonly source: string; readonly target: string; readonly readOnly: boolean }
  | { readonly kind: 'tmpfs'; readonly target: string; readonly sizeBytes: number };

/** A folder that outlives builds. */
export interface CacheMountWish {
  readonly id: string;
  /** `shared`: with others at once; `locked`: waits for others; `private`: another folder while the first is in use. */
  readonly sharing: 'shared' | 'private' | 'locked';
  /** Of a new folder; one with a seed takes the seed's. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** What a new one starts with: a folder, and what tells it from others. */
  readonly seed?: { readonly identity: string; readonly folder: string };
  readonly description: string;
}

export interface HeldCacheMount extends AsyncDisposable {
  readonly path: string;
  /** By which it can be had again. */
  readonly name: string;
}

/** A mount of a RUN step as it can be made again once the build is over. */
export type KeptMount =
  | {
      readonly kind: 'bind';
      /** What the files are of: `context`, a stage, an image. */
      readonly from: string;
      readonly chain: readonly DiffID[];
      /** Absolute, in the layers. */
      readonly source: string;
      readonly target: string;
      /** What is written to one that is not is thrown away. */
      readonly readOnly: boolean;
    }
  | {
      readonly kind: 'cache';
      readonly name: string;
      readonly path: string;
      readonly wish: Omit<CacheMountWish, 'seed'>;
      readonly target: string;
      readonly readOnly: boolean;
    }
  | { readonly kind: 'tmpfs'; readonly target: string; readonly sizeBytes: number };

/** A RUN step as the builder asks for it; the engine runs it as a container of its own. */
export interface StepRun {
  /** 64 hexadecimal digits for the container's ID: the user has been shown how it starts. */
  readonly id: string;
  /**
   * Mounted root of the step's writable snapshot: what does not need it is made meanwhile. The mount points of the default mounts (`/proc`, `/sys`, `/dev`, `/etc/resolv.conf`, `/etc/hosts`,
   * `/etc/hostname`) are there, and the builder keeps them out of the layer.
   */
  readonly rootfs: Promise<string>;
  readonly args: readonly string[];
  /** Image environment and build arguments; HOSTNAME, HOME and a default PATH are the engine's to add where they are missing. */
  readonly env: readonly string[];
  /** The same for variables that are nobody else's to see: no record has them. */
  readonly secretEnv: readonly string[];
  readonly cwd: string;
  /** `user[:group]` as in USER, resolved inside the rootfs. */
  readonly user: string;
  readonly networkMode: string;
  readonly limits: {
    readonly memoryBytes?: number;
    readonly memorySwapBytes?: number;
    readonly cpuShares?: number;
    readonly cpuPeriod?: number;
    readonly cpuQuota?: number;
    readonly cpusetCpus?: string;
    readonly cpusetMems?: string;
  };
  readonly shmSizeBytes?: number;
  readonly extraHosts: readonly string[];
  /** Their targets are there. */
  readonly mounts: readonly StepMount[];
  readonly onOutput: (stream: 'stdout' | 'stderr', data: Uint8Array) => void;
  /** Told how long the command alone ran. */
  readonly onEnded?: (durationMs: number) => void;
  readonly signal: AbortSignal;
}

/** A step whose command has ended. */
export interface EndedStep {
  readonly exitCode: number;
  /** Nothing of it is mounted or held by the engine any more. Never rejects. */
  readonly cleared: Promise<void>;
}

/** A RUN step whose container outlives it. Its snapshot, not mounted, has the step's ID as key. */
export interface KeptStep {
  readonly step: StepRun;
  readonly exitCode: number;
  readonly startedAtMs: number;
  readonly finishedAtMs: number;
  /** The image it ran above; undefined for scratch. */
  readonly imageID: Digest | undefined;
  readonly image: ImageConfig;
  readonly chain: readonly DiffID[];
  readonly mounts: readonly KeptMount[];
}

/** What the builder needs of the engine. */
export interface BuilderHost {
  readonly content: ContentStore;
  readonly metadata: Metadata;
  readonly layers: LayerIngester;
  readonly snapshots: SnapshotDriver;
  /** Steps run with other IDs: what their snapshots are mounted under. */
  readonly userNamespace?: number | undefined;
  /** Of copies with too many files for a cache record. */
  readonly fileLists: FileLists;
  readonly platform: Platform;
  /** Times in images follow the images they stand on, not the clock, unless a build asks for something else. */
  readonly reproducible: boolean;
  /** IDs of the steps that have a snapshot now; the builder writes here. */
  readonly steps: Set<string>;
  /** What is not to be removed while builds stand on it; the builder writes here. */
  readonly images: ImagesInUse;
  /** Runs one step to its end: no process of it is there when this returns, and when it fails nothing else either. */
  runStep(step: StepRun): Promise<EndedStep>;
  /** Lends the folder of a cache mount until it is disposed. */
  cacheMount(wish: CacheMountWish, options: { signal: AbortSignal }): Promise<HeldCacheMount>;
  /** Lends a step a file that is in memory only, until it is disposed. */
  lendSecret(content: Uint8Array, owner: FileOwner): Promise<LentFile>;
  lendSocket(onConnection: (socket: Duplex) => void, owner: FileOwner): Promise<LentFile>;
  /** Makes what a step left a stopped container, to be looked at, committed, started again, removed. */
  keepStep(kept: KeptStep): Promise<void>;
  /** Whether a record of the build cache was pruned. */
  wasPruned(key: string): boolean;
  /** Undefined when it is not here. */
  localImage(reference: string): Promise<{ id: Digest; config: ImageConfig } | undefined>;
  /** A local image by reference, pulled when missing or when `pull` says so. */
  baseImage(
    reference: string,
    options: { pull: boolean; platform?: string; onProgress: OnProgress; signal: AbortSignal },
  ): Promise<{ id: Digest; config: ImageConfig }>;
}

/** A listing that never was bytes. */
export interface ListedEntries extends ListingHeader {
  readonly entries: readonly ListedEntry[];
  readonly send: ListedContext['send'];
}

/** A folder that is elsewhere. It is listed when it is known what a build needs of it, and not at all when that is nothing. */
export interface SyncedFolder {
  /** `paths` (as COPY has its sources; none are all) and what they link to. @throws EngineError when the folder is not there */
  list(
    paths: readonly string[] | undefined,
    options: { signal: AbortSignal },
  ): Promise<ListedEntries & AsyncDisposable>;
}

/** Where the files of a context come from; nobody reads the tar where there is anything else. */
export interface ContextFiles {
  /** A tar, plain or compressed. */
  readonly context: ByteSource;
  /** A listing in its place, and what is remembered of earlier ones. */
  readonly listed?: { readonly context: ListedContext; readonly memory: ContextMemory };
  readonly synced?: { readonly folder: SyncedFolder; readonly memory: ContextMemory };
  /** A URL or a git repository in its place. */
  readonly remote?: string;
  /** Of a repository without its `.git`: BuildKit's way, not the classic builder's. */
  readonly dropsGit?: boolean;
}

/** A further context: stands in for the stage or image of its name. */
export type NamedContext =
  | { readonly kind: 'image'; readonly reference: string }
  | ({ readonly kind: 'files' } & ContextFiles);

export interface ScratchRoom {
  /** The same bytes, with space made before they come: they come once. */
  ahead(source: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array>;
  /** For work that found none, and can be done again. */
  readonly make: MakeRoom;
}

export interface BuildRequest extends ContextFiles {
  /** By their names, in lower case and without `:latest`. */
  readonly contexts?: ReadonlyMap<string, NamedContext>;
  /** Without it nothing can be handed over, and a Dockerfile that asks for it is refused. */
  readonly handedOver?: HandedOver;
  /** Path inside the context. */
  readonly dockerfile: string;
  /** The Dockerfile itself, where it does not come with the context, and the patterns of what the context leaves out. */
  readonly dockerfileText?: { readonly name: string; readonly bytes: Uint8Array; readonly ignored: readonly string[] };
  readonly tags: readonly string[];
  readonly buildArgs: Readonly<Record<string, string | null>>;
  readonly labels: Readonly<Record<string, string>>;
  readonly target: string;
  readonly noCache: boolean;
  /** Of these stages alone. */
  readonly noCacheStages?: readonly string[];
  /** Tell by `explain` messages what each step did and why. */
  readonly explain: boolean;
  /** Names of images whose steps may stand in for steps of this build. */
  readonly cacheFrom: readonly string[];
  readonly pull: boolean;
  readonly quiet: boolean;
  /** The layers that the build adds become one. */
  readonly squash: boolean;
  /** Whose containers stay: none (the default), those of steps that failed (`--keep-failed`), all (`--rm=false`). A cancelled build's never do. */
  readonly keepSteps: 'failed' | 'all' | 'none';
  readonly networkMode: string;
  readonly platform?: string;
  readonly extraHosts: readonly string[];
  readonly shmSizeBytes?: number;
  readonly limits: StepRun['limits'];
  /** Looks at the result, of which then nothing is kept: no image, no tag, no record in the cache. */
  readonly inspect?: (built: BuiltImage) => Promise<void>;
  /** An empty folder of this build's own; the caller removes it. */
  readonly scratchDir: string;
  /** Space for what is stored there of what comes from elsewhere than the client. */
  readonly room?: ScratchRoom;
  readonly onProgress: OnProgress;
  /** Told of the image while the build still holds it: it has no name that would keep it afterwards. */
  readonly onBuilt?: (id: Digest) => void;
  /** Told what happens as states of vertexes, beside the transcript. */
  readonly onStatus?: OnStatus;
  /** Put in front of the names of vertexes, where a build is for several platforms. */
  readonly shownPlatform?: string;
  readonly signal: AbortSignal;
}

/** What a build made, before anybody else can see it. */
export interface BuiltImage {
  readonly id: Digest;
  readonly config: ImageConfig;
  /** How many of its layers are the base image's. */
  readonly baseLayers: number;
  /** The line that made a layer, by its index. */
  readonly steps: ReadonlyMap<number, Written>;
}

export interface BuildResult {
  readonly id: Digest;
  readonly explanations: readonly BuildStepExplanation[];
  /** Full names now pointing at the image, and the image that had each before. */
  readonly tagged: readonly { readonly name: string; readonly previous?: Digest }[];
}
