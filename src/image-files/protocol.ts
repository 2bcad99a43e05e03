import type { ErrorKind } from '#errdefs';
import type { DiffID, Digest } from '#oci';
import type { UsageLayer } from './duplicates.ts';
import type { HeavyLayer } from './lighten.ts';

/** An image for a worker thread. */
export interface TreeSource {
  readonly name: string;
  readonly chain: readonly DiffID[];
  /** One for each layer of the chain, as are the tars. */
  readonly indexes: readonly string[];
  readonly tars: readonly string[];
}

/** Walks that read much: their results come piece by piece, as they are asked for. */
export type FilesJob =
  | {
      readonly kind: 'compare';
      readonly before: TreeSource;
      readonly after: TreeSource;
      readonly times: boolean;
    }
  /** Finds one item for each layer. */
  | { readonly kind: 'blame'; readonly image: TreeSource; readonly maxFiles: number }
  /** Finds one item for each layer that was not done before. */
  | { readonly kind: 'share'; readonly layers: readonly UsageLayer[] }
  /** Finds one item for each layer. */
  | { readonly kind: 'lighten'; readonly layers: readonly HeavyLayer[]; readonly donors: readonly UsageLayer[] }
  /** Finds one item. */
  | {
      readonly kind: 'refill';
      readonly layer: Pick<HeavyLayer, 'tar' | 'staged'>;
      readonly without: readonly Digest[];
    }
  /** Finds one item: the whole report. */
  | { readonly kind: 'duplicates'; readonly layers: readonly UsageLayer[]; readonly maxGroups: number };

export type FilesReply =
  | { readonly items: readonly unknown[]; readonly done: boolean }
  | { readonly failed: ErrorKind; readonly message: string };
