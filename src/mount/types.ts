export interface MountInfo {
  readonly id: number;
  readonly parent: number;
  readonly root: string;
  readonly target: string;
  readonly fsType: string;
  readonly source: string;
  readonly options: string;
}

/** A stack of folders. Every path is absolute. */
export interface OverlaySpec {
  /** Top first; at least one, or two when nothing is writable: the kernel takes no fewer. */
  readonly lowers: readonly string[];
  /** Absent: the mount is read-only. Both folders are on one filesystem. */
  readonly writable?: {
    readonly upper: string;
    readonly work: string;
    /** Never write the upper folder out on fsync or unmount. The kernel marks the work folder and refuses it the next time. */
    readonly volatile?: boolean;
  };
  /** An existing folder. */
  readonly target: string;
}

/** An EROFS image with the files that hold its data, in the order of its device table. Every path is absolute. */
export interface ErofsSpec {
  readonly image: string;
  readonly devices: readonly string[];
  /** An existing folder. */
  readonly target: string;
  /** Read from files past the page cache, which then has each page once: the mount's (Linux 6.14). */
  readonly directIO?: boolean;
}

/** How the kernel reads EROFS images: straight from files, or through loop devices. */
export type ErofsBacking = 'file' | 'loop';
