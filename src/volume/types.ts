export interface VolumeInfo {
  readonly name: string;
  readonly driver: 'local';
  readonly mountpoint: string;
  readonly createdAt: Date;
  /** As given: null when there were none. */
  readonly labels: Readonly<Record<string, string>> | null;
  readonly options: Readonly<Record<string, string>> | null;
  /** Made without a name: removed with its container, and by a prune without `all`. */
  readonly anonymous: boolean;
}

export interface CreateVolume {
  /** Absent or empty: 64 hex digits, and the volume is anonymous. */
  readonly name?: string;
  /** Absent or empty is `local`, the only one there is. */
  readonly driver?: string;
  readonly labels?: Readonly<Record<string, string>> | null;
  readonly options?: Readonly<Record<string, string>> | null;
  /** Says that a given name was made up by the engine. */
  readonly anonymous?: boolean;
}

export interface VolumeDocument {
  readonly id: string;
  readonly name: string;
  readonly body: unknown;
}

/** What volumes need of a document table (`metadata.volumes`). */
export interface VolumeTable {
  byName(name: string): VolumeDocument | undefined;
  list(): readonly VolumeDocument[];
  put(document: VolumeDocument): Promise<void>;
  remove(id: string): Promise<void>;
}

/** A volume that was removed and may come back: its folder waits under a label, for there may be several of one name. */
export interface AsideVolume {
  readonly label: string;
  readonly name: string;
}

/**
 * Local volumes: a row and a folder each. The row is what makes a volume; it is written after the folder is there and goes before the folder's contents
 * do. Whether a volume is in use is the caller's to know.
 */
export interface Volumes {
  find(name: string): VolumeInfo | undefined;
  /** By name. */
  list(): readonly VolumeInfo[];
  /**
   * An existing volume is answered as it is, as Docker does.
   * @throws `invalid-argument` for a bad name or option, `not-found` for another driver: in Docker's words.
   */
  create(wish?: CreateVolume): Promise<VolumeInfo>;
  /**
   * Removes row and contents; `check` may throw once nobody can find the volume any more who did not before.
   * @throws `not-found`, `conflict` when something is mounted inside.
   */
  remove(name: string, check?: () => void): Promise<void>;
  /**
   * Removes volumes so that they can come back: `commit` removes their rows, then their folders go aside.
   * @throws as {@link remove}, before anything has changed; what `commit` throws.
   */
  setAside(names: readonly string[], label: string, commit: () => Promise<void>): Promise<void>;
  /** Brings volumes back: `commit` writes their rows, then their folders come. @throws what `commit` throws. */
  bringBack(names: readonly string[], label: string, commit: () => Promise<void>): Promise<void>;
  /** Removes the folder of a volume that will not come back. Absent is fine. */
  dropAside(volume: AsideVolume): Promise<void>;
  /** Where the folder of a volume is that was set aside. */
  asideFolder(volume: AsideVolume): string;
  /**
   * Fills a volume that is empty with what `sourceFolder` holds, itself included: owner, mode, times, extended attributes, links, devices. A volume that
   * is not empty, and a source that is no folder, leave everything as it is. The source must not change meanwhile.
   * @returns whether the volume took the source's content.
   */
  populate(name: string, sourceFolder: string, options?: { signal?: AbortSignal | undefined }): Promise<boolean>;
  /**
   * Says that a container uses a volume: one with a `device` is mounted for its first user, and unmounted after its last. Others are always there.
   * @throws `internal` in Docker's words when it cannot be mounted.
   */
  hold(name: string, user: string): Promise<void>;
  /** Absent is fine. */
  release(name: string, user: string): Promise<void>;
  /** After a restart: who still uses what; everything else is unmounted. */
  adopt(users: ReadonlyMap<string, readonly string[]>): Promise<void>;
  /** Bytes of its files, each counted once, as Docker counts. */
  usageBytes(name: string, options?: { signal?: AbortSignal | undefined }): Promise<number>;
  /**
   * After a crash: finishes removals, takes away what an unfinished create or populate left, and all that is aside but `aside`. Call before anything
   * else.
   */
  recover(aside?: readonly AsideVolume[]): Promise<void>;
  /** One line per row without folder and folder without row; `aside` are those that were set aside and are still wanted. */
  verify(aside?: readonly AsideVolume[]): AsyncIterable<string>;
}

export interface VolumeOptions {
  /** `volumes/` of the data root; made when it is not there. */
  readonly root: string;
  readonly table: VolumeTable;
}
