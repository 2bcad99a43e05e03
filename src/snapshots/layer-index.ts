import { join } from 'node:path';
import { IndexFile } from '#erofs';
import { type ChainID, type DiffID, digestHex } from '#oci';
import type { Attributes } from './tree.ts';
import type { Chain } from './types.ts';

/**
 * Where the erofs driver keeps the index of a layer that needs nothing from below. Whoever has the layer's bytes in hand may write it
 * (tag: {@link layerTag}; whole, synced and renamed into place); what is missing the driver makes of the tar.
 */
export function layerIndexPath(root: string, diffID: DiffID): string {
  return join(root, 'layers', `${digestHex(diffID)}.erofs`);
}

/**
 * Indexes that belong to a chain: `chain` is its top layer as it is above the rest, `merged` is all of it in one. The word in
 * the name also tells them from a layer's own: at the bottom, layer and chain have the same digest.
 */
export const chainIndexKinds = ['chain', 'merged'] as const;
export type ChainIndexKind = (typeof chainIndexKinds)[number];

export function chainIndexPath(root: string, id: ChainID, kind: ChainIndexKind): string {
  return join(root, 'layers', `${digestHex(id)}.${kind}.erofs`);
}

/** What is kept beside an index: of a chain's which layers it was made of, of a layer's own what was found out about it. */
export function recordPath(indexPath: string): string {
  return indexPath.replace(/\.erofs$/, '.json');
}

/** A layer's name in the device tables of indexes, which hold 64 bytes. */
export function layerTag(diffID: DiffID): string {
  return digestHex(diffID).slice(0, 64);
}

/** What has to be known of an index to mount it. */
export interface LayerIndex {
  readonly path: string;
  /** Layers whose tars are its devices, in order. */
  readonly devices: readonly DiffID[];
  readonly root: Attributes;
}

/** Reads an index's head. @throws `data-loss` when it is malformed or names layers that the chain does not have. */
export function readLayerIndex(path: string, chain: Chain): LayerIndex | undefined {
  using index = IndexFile.open(path);
  const byTag = new Map(chain.map((diffID) => [layerTag(diffID), diffID]));
  const devices = index.devices.map(({ tag }) => byTag.get(tag));
  if (!devices.every((device) => device !== undefined)) return undefined;
  const { type: _, ...root } = index.root;
  return { path, devices, root: { ...root, type: 'directory' } };
}

/** A root without a mark of its own: the layer has no entry for it, or one that says the same. */
export function isPlainRoot({ mode, uid, gid, xattrs }: Attributes): boolean {
  return mode === 0o755 && uid === 0 && gid === 0 && xattrs.size === 0;
}

/** As an index has it whose layer does not describe the root. */
export function isImpliedRoot(root: Attributes): boolean {
  return isPlainRoot(root) && root.mtime.sec === 0 && root.mtime.nsec === 0;
}
