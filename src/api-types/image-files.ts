/** A file of an image, as a container of it would find it. */
export interface ImageFile {
  /** From the root, absolute. */
  readonly path: string;
  /** The same as base64, where it is not UTF-8. */
  readonly pathBytes?: string;
  readonly type: 'file' | 'directory' | 'symlink' | 'char' | 'block' | 'fifo' | 'socket';
  /** Permission bits, octal: `0755`, `4755`. */
  readonly mode: string;
  readonly uid: number;
  readonly gid: number;
  /** Of a file's content or a symlink's target; 0 for all else. */
  readonly sizeBytes: number;
  /** RFC 3339 with nanoseconds. */
  readonly modified: string;
  /** Of a symlink. */
  readonly target?: string;
  readonly targetBytes?: string;
  /** Of a device: `1:3`. */
  readonly device?: string;
  /** Names in its layer, where they are several. */
  readonly links?: number;
  /** Values as base64. */
  readonly xattrs?: Readonly<Record<string, string>>;
  /** The layer it comes from, counted from 0 at the bottom; of a folder the topmost that describes it. */
  readonly layer: number;
}

/** What goes with a file's bytes. */
export type ImageFileFacts = Pick<ImageFile, 'mode' | 'uid' | 'gid' | 'sizeBytes' | 'modified' | 'layer'>;

export interface ListFilesOptions {
  /** Absolute or from the root; symlinks on the way are followed inside the image's root. The root when left out. */
  readonly path?: string;
  /** All that is below, folders before what is in them. */
  readonly recursive?: boolean;
  /** The folder itself, not what is in it; of a symlink the symlink itself. */
  readonly self?: boolean;
  /** A symlink at the end of `path` is not followed. */
  readonly noFollow?: boolean;
}
