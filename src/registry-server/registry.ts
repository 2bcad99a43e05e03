import type { KeyedLock } from '#concurrency';
import type { FileSender } from '#http';
import type { Claims } from './claims.ts';
import type { Collector } from './collector.ts';
import type { PullCounter } from './hub/pull-counter.ts';
import type { Scrub } from './operations/scrub.ts';
import type { BlobStore } from './store/blob-store.ts';
import type { MetaStore } from './store/meta-store.ts';
import type { Uploads } from './uploads.ts';
import type { PullThrough } from './upstream/pull-through.ts';

/** What one request may ask for at most. */
export interface Limits {
  readonly maxBlobBytes: number;
  readonly maxManifestBytes: number;
}

/** How long things are kept that nothing refers to (yet). */
export interface Retention {
  /** An uploaded blob waits this long for its manifest. */
  readonly unclaimedMs: number;
  /** A blob that a client has asked about waits this long for the manifest. */
  readonly askedMs: number;
  /** What clients asked about before a restart is forgotten: nothing is collected for so long after a start. */
  readonly quietMs: number;
  /** A copy that was pulled within this time stays, however little room there is: its blobs may be on their way to a client. */
  readonly inUseMs: number;
  /** What was deleted can be restored for so long. */
  readonly undoMs: number;
}

/** What is kept, and what keeps it from going too early. */
export interface Stores {
  readonly blobs: BlobStore;
  readonly meta: MetaStore;
  readonly claims: Claims;
  /** By digest: held while a blob becomes linked and while it is removed. */
  readonly locks: KeyedLock;
  readonly limits: Limits;
  readonly retention: Retention;
}

/** What request handlers work on. */
export interface Registry extends Stores {
  readonly uploads: Uploads;
  /** Absent where blobs have to be read to be sent. */
  readonly files: FileSender;
  readonly pulls: PullCounter;
  readonly collector: Collector;
  readonly scrub: Scrub;
  /** Absent where no repository is a copy. */
  readonly upstreams: PullThrough | undefined;
}
