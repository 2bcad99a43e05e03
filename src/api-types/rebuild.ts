/** What comes of building an image again and comparing. */
export interface RebuildReport {
  readonly identical: boolean;
  /** IDs of the image and of what the build gave. */
  readonly image: string;
  readonly rebuilt: string;
  /** Fields of the configuration and of the history that differ. */
  readonly config: readonly RebuildDifference[];
  /** Layers that differ, from the bottom up: the first is where to look first. */
  readonly layers: readonly RebuiltLayer[];
}

export interface RebuildDifference {
  /** `created`, `config.Env`, `history[3].created_by`. */
  readonly field: string;
  /** As JSON; null where one has none. */
  readonly image: string | null;
  readonly rebuilt: string | null;
  readonly hint?: string;
}

export interface RebuiltLayer {
  /** From 0. */
  readonly index: number;
  /** Diff IDs; null where one image has fewer layers. */
  readonly image: string | null;
  readonly rebuilt: string | null;
  /** The line of the Dockerfile that makes it, where it is not the base's. */
  readonly line?: number;
  readonly text?: string;
  readonly hint?: string;
  /** The first of them; `moreFiles` says how many are left out. */
  readonly files: readonly RebuiltFile[];
  readonly moreFiles: number;
}

/** What most likely brought a difference in. */
export type RebuildCause = 'clock' | 'random' | 'network' | 'leftover';

export interface RebuiltFile {
  /** Absolute. */
  readonly path: string;
  readonly kind: 'only-in-image' | 'only-in-rebuild' | 'attribute' | 'content' | 'order';
  /** `mode`, `owner`, `mtime`, `type`, `target`, `size`, `xattrs`, with both values. */
  readonly attribute?: string;
  readonly image?: string;
  readonly rebuilt?: string;
  /** Of the first byte that differs. */
  readonly offset?: number;
  readonly cause?: RebuildCause;
  readonly hint?: string;
}
