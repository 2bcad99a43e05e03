import type { DiffID } from '#oci';
import type { Attributes } from './tree.ts';
import type { Chain, SnapshotUsage, VerifyOptions } from './types.ts';

/** A chain as folders to stack, theirs to use until released. */
export interface HeldLayers extends AsyncDisposable {
  /** Top first, in the form overlayfs stacks; empty for an empty chain. */
  readonly folders: readonly string[];
  /** What the root folder is for those who look at the chain. */
  rootAttributes(): Attributes;
}

/** How an overlay driver makes folders of layers. What it derives from a tar it can make again. */
export interface LayerStore extends AsyncDisposable {
  /** Layers a chain may have to be stacked. */
  readonly maxDepth: number;
  unpack(chain: Chain, options?: { signal?: AbortSignal | undefined }): Promise<void>;
  /** Unpacks what is missing, mounts what is to be mounted. */
  hold(chain: Chain): Promise<HeldLayers>;
  /** The folders of a chain, top first, where they are or will be once it is held. */
  places(chain: Chain): Promise<readonly string[]>;
  /** Everything derived from the layer, by itself and in whatever chain. Absent is fine. */
  remove(diffID: DiffID): Promise<void>;
  /** Closes the layer's file where no snapshot uses it: another stands at its place. */
  letGo?(diffID: DiffID): Promise<void>;
  usage(diffID: DiffID): Promise<SnapshotUsage>;
  /** The index of each layer of a chain, from the bottom up. */
  indexes(chain: Chain, signal: AbortSignal | undefined): Promise<readonly string[]>;
  /** Removes what is half made, what belongs to layers not in `keep`, and mounts that no chain in `mounted` uses. */
  recover(keep: ReadonlySet<DiffID>, mounted: readonly Chain[]): Promise<void>;
  verify(layers: readonly DiffID[], options?: VerifyOptions): AsyncIterable<string>;
}
