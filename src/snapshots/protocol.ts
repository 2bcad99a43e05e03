import type { TimeClamp } from '#archive';
import type { ErrorKind } from '#errdefs';
import type { IndexSource } from './index-layer.ts';
import type { WhiteoutUse } from './index-whiteouts.ts';
import type { Marks } from './marks.ts';
import type { RelocatedIndex } from './relocate-index.ts';
import type { UpperToPack } from './upper-tar.ts';

/** Work for a snapshot worker thread: plain values, paths as text. */
export type Job =
  /** Writes a layer into the empty folder `target` in overlay form, above the folders `below` (top first). */
  | {
      readonly kind: 'unpack-overlay';
      readonly tar: string;
      readonly target: string;
      readonly below: readonly string[];
      readonly marks: Marks;
    }
  /** Applies a layer to `target`, which holds the chain below it. What is counted is the layer's files, or all. */
  | {
      readonly kind: 'unpack-plain';
      readonly tar: string;
      readonly target: string;
      readonly isBottom: boolean;
      readonly counts: 'layer' | 'tree';
    }
  /** Puts the tar of a writable layer into a ring. */
  | ({
      readonly kind: 'pack-upper';
      readonly clamp: TimeClamp | undefined;
      readonly ring: SharedArrayBuffer;
    } & UpperToPack)
  | { readonly kind: 'copy-tree'; readonly source: string; readonly target: string }
  | { readonly kind: 'remove-tree'; readonly path: string }
  /** Writes out everything of the file system that `path` is on. */
  | { readonly kind: 'sync-file-system'; readonly path: string }
  /** Unmounting an overlay writes the filesystem under it out, which may take seconds. */
  | { readonly kind: 'unmount'; readonly target: string }
  /** Indexes a tar into the fresh file `index`: by itself, or with the indexes of the chain below, top first. */
  | ({ readonly kind: 'index' } & IndexSource)
  /** Merges the indexes of a chain, top first, into the fresh file `index`. */
  | {
      readonly kind: 'merge-indexes';
      readonly indexes: readonly string[];
      readonly index: string;
      readonly tars: Readonly<Record<string, string>>;
    }
  /** Makes a second index of one, into the fresh file `placed`: data is where the recipes of the tars say. */
  | ({ readonly kind: 'relocate-index' } & RelocatedIndex)
  /** Looks for whiteouts in an index; with the indexes of the chain below (top first) also at what they hide. */
  | { readonly kind: 'inspect-whiteouts'; readonly index: string; readonly lower?: readonly string[] }
  | { readonly kind: 'compare-files'; readonly left: string; readonly right: string }
  | { readonly kind: 'compare-trees'; readonly left: string; readonly right: string };

export interface JobResult {
  /** Of what was unpacked. */
  readonly sizeBytes: number;
  readonly inodes: number;
  /** An index says all about its layer without the chain below. */
  readonly standsAlone: boolean;
  readonly whiteouts: WhiteoutUse;
  /** Faults found, for jobs that look for them. */
  readonly faults: readonly string[];
}

export interface JobRequest {
  readonly job: Job;
  readonly abort: SharedArrayBuffer;
}

export type JobReply =
  | { readonly ok: true; readonly result: JobResult }
  | { readonly ok: false; readonly kind: ErrorKind; readonly message: string };
