import type { ContextMemory, FileLists, ImagesInUse } from '#builder';
import type { KeyedLock } from '#concurrency';
import type { ContentStore, Inspection, Recipes } from '#content';
import type { LayerIngester } from '#diff';
import type { Metadata } from '#metadata';
import type { Networks } from '#network';
import type { Platform } from '#oci';
import type { RegistryClient } from '#registry';
import type { Runtime } from '#runtime';
import type { SnapshotDriver } from '#snapshots';
import type { Volumes } from '#volume';
import type { BuildCacheKeeper } from './build-cache-keeper.ts';
import type { CacheMounts } from './cache-mounts/index.ts';
import type { DefaultSeccomp } from './containers/default-seccomp.ts';
import type { ContainerRegistry } from './containers/registry.ts';
import type { EventLog } from './events.ts';
import type { EngineOptions } from './options.ts';
import type { Remap } from './remap/index.ts';
import type { FileSharing } from './system/file-sharing.ts';
import type { TrashKeeper } from './trash/index.ts';

/** Everything the engine's parts share: the stores, and what is alive in this process. */
export interface EngineContext {
  readonly options: EngineOptions;
  readonly root: string;
  readonly execRoot: string;
  readonly instance: string;
  readonly content: ContentStore & Recipes & Inspection;
  readonly metadata: Metadata;
  readonly layers: LayerIngester;
  readonly snapshots: SnapshotDriver;
  readonly driverReason: string;
  /** What a container may write to its root that does not say, from the storage options. */
  readonly sizeLimitBytes: number | undefined;
  /** Containers get user namespaces of their own with these IDs. */
  readonly remap: Remap | undefined;
  readonly registry: RegistryClient;
  readonly runtime: Runtime;
  readonly seccomp: DefaultSeccomp;
  readonly networks: Networks;
  readonly volumes: Volumes;
  readonly cacheMounts: CacheMounts;
  readonly cacheKeeper: BuildCacheKeeper;
  readonly trash: TrashKeeper;
  /** Digests of files that builds were given as listings. */
  readonly contextMemory: ContextMemory;
  /** The files of large copies, for explanations. */
  readonly fileLists: FileLists;
  readonly platform: Platform;
  readonly maxDownloadAttempts?: number;
  readonly maxConcurrentDownloads: number;
  readonly maxConcurrentUploads: number;
  readonly events: EventLog;
  readonly containers: ContainerRegistry;
  /** IDs of the build steps that run now, and keys of their snapshots: containers without a record. */
  readonly buildSteps: Set<string>;
  readonly buildImages: ImagesInUse;
  /** Scratch folders of the builds that run now. */
  readonly buildFolders: Set<string>;
  /** One pull of a reference at a time, say. */
  readonly locks: KeyedLock;
  /** Where equal files of layers share their blocks. */
  readonly sharing: FileSharing;
  readonly startedAt: Date;
}
