import type { ByteString, TarTime } from '#archive';

export type InodeType = 'file' | 'directory' | 'symlink' | 'char' | 'block' | 'fifo' | 'socket';

/** Bytes an index can point at: a layer's tar. */
export interface DataSource {
  /** Names the source in the device table, at most 64 bytes: the hex of a layer's diffID. Empty: readable only, so data is copied into the index. */
  tag: string;
  sizeBytes: number;
  /** Fills `target` from `offset`. Only called for data that cannot be pointed at in blocks (odd sparse files). */
  read(target: Buffer, offset: number): void;
}

/** What data is read from. */
export interface DataReader {
  readonly sizeBytes: number;
  /** As much of `target` as there is from `offset` on; answers how much that is. */
  read(target: Buffer, offset: number): number;
}

/** A run of file data; what no run covers reads as zeros. */
export interface DataRun {
  readonly offset: number;
  readonly lengthBytes: number;
  readonly source: DataSource;
  readonly sourceOffset: number;
}

export interface InodeAttributes {
  readonly type: InodeType;
  /** Permission bits: 07777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: TarTime;
  /** Length of a file's content or a symlink's target. */
  readonly sizeBytes: number;
  readonly devMajor: number;
  readonly devMinor: number;
  readonly linkPath: ByteString;
  readonly xattrs: ReadonlyMap<ByteString, Uint8Array>;
}

/** What is at a path in the chain below a layer. */
export interface LowerInode extends InodeAttributes {
  /** A file's data, ordered. */
  readonly runs: readonly DataRun[];
}

/** Looks a path up in the merged chain below, without following a symlink in its last component. Paths are clean and relative; '' is the root. */
export type LowerLookup = (path: ByteString) => LowerInode | undefined;
