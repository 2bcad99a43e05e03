import type { TimeClamp } from '#archive';
import type { ChainID, DiffID } from '#oci';
import type { ByteSource } from '#streams';

export type DriverName = 'erofs' | 'overlay2' | 'btrfs' | 'zfs' | 'fuse-overlayfs' | 'vfs';

/** Diff IDs from the bottom up. */
export type Chain = readonly DiffID[];

export type ChangeKind = 'modify' | 'add' | 'delete';

export interface DiffOptions {
  /** For the times of the files in it. */
  readonly clamp?: TimeClamp | undefined;
  /** A chunk holds only until the next is asked for: new memory for each costs more than packing them. */
  readonly lend?: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** One changed path of a writable snapshot, absolute, as `docker diff` lists it (bytes decoded as UTF-8 where valid). */
export interface Change {
  readonly kind: ChangeKind;
  readonly path: string;
}

export interface SnapshotUsage {
  readonly sizeBytes: number;
  readonly inodes: number;
}

export interface SnapshotInfo {
  readonly key: string;
  readonly kind: 'active' | 'view';
  readonly chain: Chain;
}

/** How a snapshot is shown while it is mounted. */
export interface MountOptions {
  /** A descriptor of a user namespace: what the disk has as an ID of it is shown as what that ID is outside. What is written comes back the same way. */
  readonly userNamespace?: number | undefined;
}

/** How a mounted snapshot's root is reached by another process (a container runtime or a build step). */
export interface MountedSnapshot {
  readonly root: string;
}

/** A place that a runtime mounts something over. */
export interface MountPoint {
  /** Absolute, as a process in the snapshot sees it. */
  readonly path: string;
  readonly type: 'file' | 'directory' | 'symlink';
  /** Of a symlink. */
  readonly target?: string;
}

/** What Docker puts into every container's root before the first start, where the image has nothing there. */
export const dockerMountPoints: readonly MountPoint[] = [
  { path: '/dev', type: 'directory' },
  { path: '/dev/pts', type: 'directory' },
  { path: '/dev/shm', type: 'directory' },
  { path: '/dev/console', type: 'file' },
  { path: '/proc', type: 'directory' },
  { path: '/sys', type: 'directory' },
  { path: '/.dockerenv', type: 'file' },
  { path: '/etc', type: 'directory' },
  { path: '/etc/resolv.conf', type: 'file' },
  { path: '/etc/hosts', type: 'file' },
  { path: '/etc/hostname', type: 'file' },
  { path: '/etc/mtab', type: 'symlink', target: '/proc/mounts' },
];

export interface PrepareOptions {
  /**
   * Made between the chain and the writable layer where the chain lacks them, so that they are no change of the snapshot: see
   * {@link dockerMountPoints}. Costs something for the first snapshot of a chain only.
   */
  readonly mountPoints?: readonly MountPoint[];
  /**
   * Nobody needs the data after a power cut (a build step, a container that is removed when it ends): the kernel then skips
   * writing it out on fsync and unmount, which is most of what an unmount costs. A crash of the daemon loses nothing.
   */
  readonly ephemeral?: boolean;
  /** What may be written; more is answered as a full disk. @throws `failed-precondition` from a driver that {@link SnapshotDriver.sizeLimitRefusal | cannot}. */
  readonly sizeLimitBytes?: number | undefined;
}

export interface VerifyOptions {
  /** Indexes that differ from what their layers give are replaced; the fault then ends in `made anew`. */
  readonly repair?: boolean;
  /**
   * Every layer there is, asked for after the files were listed: files of any other are then faults too. Undefined while layers are being made, when a
   * file may be ahead of its row.
   */
  readonly knownLayers?: () => ReadonlySet<DiffID> | undefined;
}

/** What a start-up pass leaves alone. */
export interface KeepSets {
  /** Keys. */
  readonly snapshots: ReadonlySet<string>;
  /** Keys of snapshots whose mounts are in use; to be adopted afterwards. */
  readonly mounted: ReadonlySet<string>;
  readonly layers: ReadonlySet<DiffID>;
}

/** What a driver does with layers: what it mounts it derives from their tars. */
export interface LayerDriver {
  /** `DriverStatus` rows of `docker info`. */
  status(): readonly (readonly [string, string])[];

  /**
   * Makes every layer of the chain mountable, from the tars in the content store. Idempotent and crash-safe; concurrent
   * calls for one layer do the work once. @throws `data-loss` when a tar is missing or cannot be applied; `invalid-argument` for a hostile one.
   */
  unpack(chain: Chain, options?: { signal?: AbortSignal | undefined }): Promise<void>;
  /** Forgets what was derived from a layer that is gone, by itself and in whatever chain; `chains` are those known to have had it. Absent is fine. */
  removeLayer(diffID: DiffID, chains: readonly ChainID[]): Promise<void>;
  /** The layer's file has been replaced by another that reads the same: lets go of the old one where no snapshot uses it. */
  letGo(diffID: DiffID): Promise<void>;
  /** Bytes on disk derived from a layer (beside its tar). */
  layerUsage(diffID: DiffID): Promise<SnapshotUsage>;
  /**
   * The EROFS index of each layer of a chain as it is above those below, from the bottom up, for reading: made where missing, whatever
   * the driver mounts. Their data is in the tars.
   */
  layerIndexes(chain: Chain, options?: { signal?: AbortSignal | undefined }): Promise<readonly string[]>;
  /** Cross-checks derived files against their layers; answers one line per fault. */
  verify(layers: readonly DiffID[], options?: VerifyOptions): AsyncIterable<string>;
}

export interface SnapshotDriver extends LayerDriver, AsyncDisposable {
  readonly name: DriverName;
  /** Why snapshots of a limited size cannot be had here; undefined where they can. */
  sizeLimitRefusal(): string | undefined;
  /** A new writable snapshot above the chain. @throws `already-exists`. The chain must be unpacked. */
  prepare(key: string, chain: Chain, options?: PrepareOptions): Promise<void>;
  /** After it a power cut leaves the snapshot as it is now, or newer. @throws `not-found`. */
  persist(key: string): Promise<void>;
  /** A read-only view of the chain. */
  view(key: string, chain: Chain): Promise<void>;
  /**
   * Mounts the snapshot (counted: the second mount answers the same root, as the first had it shown) in this process's mount namespace.
   * @throws `failed-precondition` where the kernel or the file system cannot show it under other IDs.
   */
  mount(key: string, options?: MountOptions): Promise<MountedSnapshot>;
  /** Gives one mount back; the last one unmounts. */
  unmount(key: string): Promise<void>;
  /** Takes over a mount that an earlier daemon left (its container still runs): counted from one again. */
  adopt(key: string): Promise<MountedSnapshot>;

  /** Sorted by path, as Docker lists them. Works mounted or not. @throws `not-found`. */
  changes(key: string): Promise<readonly Change[]>;
  /** Whether {@link changes} would list anything; stops at the first. @throws `not-found`. */
  isChanged(key: string): Promise<boolean>;
  /** The writable layer as an uncompressed layer tar (whiteouts as `.wh.`), deterministic: sorted, numeric owners, nanosecond PAX times, xattrs. */
  diff(key: string, options?: DiffOptions): ByteSource;
  usage(key: string): Promise<SnapshotUsage>;
  /** `GraphDriver.Data` of an inspect: where the snapshot's parts are, mounted or not; null for a driver that has no parts. @throws `not-found`. */
  folders(key: string): Promise<Readonly<Record<string, string>> | null>;
  /** The same of a chain, which nothing is written to. */
  chainFolders(chain: Chain): Promise<Readonly<Record<string, string>> | null>;
  /** Unmounts if mounted and deletes. Absent is fine. */
  remove(key: string): Promise<void>;
  /** Waits until the blocks of what was removed so far are free. */
  settled(): Promise<void>;
  list(): Promise<readonly SnapshotInfo[]>;
  /** Removes what a crash left: half-made snapshots, temporary files, mounts nobody holds except those in `keep`. */
  recover(keep: KeepSets): Promise<void>;
}

export interface DriverOptions {
  /** The data root. */
  readonly root: string;
  /** A folder on tmpfs for mount points; it may be empty at start. */
  readonly runRoot: string;
  readonly contentPath: (diffID: DiffID) => string;
}
