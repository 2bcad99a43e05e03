import { fsyncSync } from 'node:fs';
import { describe, type SourceOf } from './chain.ts';
import { InodeCopier } from './copy-up.ts';
import { IndexFile, isOpaque } from './image.ts';
import { LayerTree, rootInode } from './tree.ts';
import type { DataRun, DataSource } from './types.ts';
import { encodeIndex, type IndexContents, type IndexImage } from './writer.ts';

export interface Relocation {
  readonly sourceOf: SourceOf;
  /** Where a run of data is in truth, in order. */
  readonly placesOf: (run: DataRun) => readonly DataRun[];
}

/**
 * An index that says the same as another one, whiteouts and marks included, and points at data in other places. Blocking.
 * @throws `data-loss` for a broken index; `invalid-argument` when the places are too large together.
 */
export function relocateIndex(path: string, relocation: Relocation, fd: number): IndexImage {
  using index = IndexFile.open(path);
  const image = encodeIndex(relocated(index, relocation));
  image.writeTo(fd);
  fsyncSync(fd);
  return image;
}

function relocated(index: IndexFile, { sourceOf, placesOf }: Relocation): IndexContents {
  const devices: DataSource[] = [];
  const tree = new LayerTree(undefined, () => rootInode);
  const copier = new InodeCopier(tree.inodes, devices);
  const copies = new Map<number, number>();
  copier.attributes(rootInode, describe({ index, inode: index.root }, sourceOf));
  tree.root.implied = false;
  tree.root.opaque = isOpaque(index.root);
  const pending = [{ directory: rootInode, inode: index.root }];
  for (let at = pending.pop(); at !== undefined; at = pending.pop()) {
    for (const { name, nid } of index.entries(at.inode)) {
      const inode = index.inode(nid);
      const known = copies.get(nid);
      const described = known === undefined ? describe({ index, inode }, sourceOf) : undefined;
      const copy = known ?? copier.copy({ ...described!, runs: described!.runs.flatMap(placesOf) });
      copies.set(nid, copy);
      tree.put(at.directory, name, copy);
      if (inode.type !== 'directory') continue;
      tree.directories.get(copy)!.opaque = isOpaque(inode);
      pending.push({ directory: copy, inode });
    }
  }
  return { tree, devices };
}
