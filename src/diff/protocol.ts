import type { Compression } from '#archive';
import type { ErrorKind } from '#errdefs';
import type { DigestAlgorithm } from '#oci';
import type { Finding, Following } from './digest-protocol.ts';

/** Bytes travel in slots of memory both threads see: no copy is allocated, and the number of slots is the backpressure. */
export const slotBytes = 1 << 20;
export const slotCount = 8;
/** Memory that both threads see already is read where it is, if that is worth a message and waiting for it. */
export const minLentBytes = 1 << 18;
/** Bytes of files, by {@link Insert}, that one slot may bring along: enough to be worth a message, few enough that hashing begins at once. */
export const maxInsertedBytes = 2 << 20;

/** Bytes of a file that come behind so many bytes of a slot. The thread reads them itself. */
export interface Insert {
  readonly at: number;
  readonly fd: number;
  readonly offset: number;
  readonly lengthBytes: number;
}

export interface IngestLimits {
  /** Uncompressed bytes of one layer. */
  readonly maxLayerBytes: number;
  /** Uncompressed bytes per compressed byte, looked at beyond the first 16 MiB. */
  readonly maxExpansion: number;
  /** What must stay free on the store's filesystem. */
  readonly reserveBytes: number;
}

export interface StartMessage {
  readonly type: 'start';
  readonly job: number;
  readonly tarPath: string;
  readonly ring: SharedArrayBuffer;
  readonly algorithm: DigestAlgorithm;
  readonly tarAlgorithm: DigestAlgorithm;
  readonly limits: IngestLimits;
  /** One number: what the other side found out about room, see {@link roomAnswers}. */
  readonly room: SharedArrayBuffer;
  /** Of a `Follower`, who is asked by `follow`. */
  readonly bell: SharedArrayBuffer;
}

export type ToWorker =
  | StartMessage
  | {
      readonly type: 'slot';
      readonly job: number;
      readonly slot: number;
      readonly lengthBytes: number;
      readonly inserts: readonly Insert[];
    }
  /** Bytes that stay where they are until they are taken. */
  | {
      readonly type: 'lent';
      readonly job: number;
      readonly memory: SharedArrayBuffer;
      readonly offset: number;
      readonly lengthBytes: number;
    }
  | { readonly type: 'end'; readonly job: number }
  /** What came of `follow`. */
  | { readonly type: 'found'; readonly job: number; readonly finding: Finding }
  /** Where the index goes; without a path the job is over. */
  | { readonly type: 'index'; readonly job: number; readonly path: string | undefined }
  /** Stop and close everything. Answered by `closed`, as every job is. */
  | { readonly type: 'abort'; readonly job: number };

/** What one pass found out. */
export interface Digested {
  readonly type: 'digested';
  readonly job: number;
  readonly digestHex: string;
  readonly compressedBytes: number;
  readonly tarHex: string;
  readonly sizeBytes: number;
  readonly compression: Extract<Compression, 'none' | 'gzip' | 'zstd'>;
  /** The layer can be indexed by itself: nothing it holds leans on layers below. */
  readonly standsAlone: boolean;
}

/** What stands in a job's `room`: nothing yet, some was made, none could be made. */
export const roomAnswers = { open: 0, made: 1, none: 2 } as const;

export type FromWorker =
  | { readonly type: 'free'; readonly job: number; readonly slot: number; readonly writtenBytes: number }
  | { readonly type: 'taken'; readonly job: number; readonly writtenBytes: number }
  | Digested
  | { readonly type: 'failed'; readonly job: number; readonly kind: ErrorKind; readonly message: string }
  | { readonly type: 'closed'; readonly job: number }
  /** A file to be hashed beside the writing; once a job. */
  | { readonly type: 'follow'; readonly job: number; readonly following: Following }
  /** There is no space to write to: the thread waits for an answer in the job's `room`. */
  | { readonly type: 'short'; readonly job: number };
