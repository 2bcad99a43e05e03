/**
 * Names in a tar are bytes. They are held as *byte strings*: one UTF-16 unit per byte (latin1), so that they are exact, comparable and
 * usable as keys; `utf8FromBytes` and `bytesFromUtf8` translate at the edges.
 */
export type ByteString = string;

export type TarEntryType = 'file' | 'hardlink' | 'symlink' | 'char' | 'block' | 'directory' | 'fifo';

/** Seconds since the epoch (negative before it) plus 0..999,999,999 nanoseconds forward from there. */
export interface TarTime {
  readonly sec: number;
  readonly nsec: number;
}

/** A run of data in a sparse file; between runs the file reads as zeros. */
export interface SparseSegment {
  /** Where the run is in the file. */
  readonly offset: number;
  readonly lengthBytes: number;
  /** Where the run is within the entry's stored data. */
  readonly storedOffset: number;
}

/** What describes a file, in a tar that is read as in one that is written. */
export interface TarAttributes {
  readonly type: TarEntryType;
  /** As written: may be absolute, hold `..`, end in a slash. */
  readonly path: ByteString;
  /** Target of a symlink or hardlink, else empty. */
  readonly linkPath: ByteString;
  /** Permission bits with set-id and sticky: 07777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly userName: ByteString;
  readonly groupName: ByteString;
  readonly mtime: TarTime;
  readonly atime: TarTime | undefined;
  readonly ctime: TarTime | undefined;
  readonly devMajor: number;
  readonly devMinor: number;
  /** Length of the file as it reads; 0 for everything that is no file. */
  readonly sizeBytes: number;
  /** Extended attributes by full name (`security.capability`), values as bytes. */
  readonly xattrs: ReadonlyMap<ByteString, Uint8Array>;
}

/** One entry of a tar. Offsets count from the start of the (uncompressed) stream. */
export interface TarEntry extends TarAttributes {
  /** First header block, extension headers included. */
  readonly headerOffset: number;
  /** First byte of stored data; a multiple of 512 always. */
  readonly dataOffset: number;
  /** Bytes of stored data: `sizeBytes`, or for a sparse file the sum of its segments. */
  readonly storedBytes: number;
  /** Present for sparse files only: ordered, disjoint, within `sizeBytes`. */
  readonly sparse: readonly SparseSegment[] | undefined;
}
