import type { ByteString } from '#archive';
import { describe, type Place, type SourceOf, visible } from './chain.ts';
import { InodeCopier } from './copy-up.ts';
import type { IndexFile } from './image.ts';
import { LayerTree, rootInode } from './tree.ts';
import type { DataSource } from './types.ts';
import type { IndexContents } from './writer.ts';

/** The merged view of a chain (topmost first) as the contents of one index: no whiteouts, hardlinks kept. */
export function mergeChain(indexes: readonly IndexFile[], sourceOf: SourceOf): IndexContents {
  const devices: DataSource[] = [];
  const tree = new LayerTree(undefined, () => rootInode);
  const copier = new InodeCopier(tree.inodes, devices);
  const known = new Map<IndexFile, Map<number, number>>(indexes.map((index) => [index, new Map()]));
  const roots = visible(indexes.map((index) => ({ index, inode: index.root })));
  if (roots[0]) copier.attributes(rootInode, describe(roots[0], sourceOf));
  tree.root.implied = false;
  const pending = [{ directory: rootInode, places: roots }];
  for (let at = pending.pop(); at !== undefined; at = pending.pop()) {
    for (const [name, places] of children(at.places)) {
      const seen = visible(places);
      const [top] = seen;
      if (top === undefined) continue;
      const linked = known.get(top.index)!;
      const inode = linked.get(top.inode.nid) ?? copier.copy(describe(top, sourceOf));
      if (top.inode.type === 'directory') pending.push({ directory: inode, places: seen });
      else if (top.inode.links > 1) linked.set(top.inode.nid, inode);
      tree.put(at.directory, name, inode);
    }
  }
  return { tree, devices };
}

/** What merged directories hold, by name: the places of each, topmost first. */
function children(places: readonly Place[]): Map<ByteString, Place[]> {
  const named = new Map<ByteString, Place[]>();
  for (const { index, inode } of places) {
    for (const { name, nid } of index.entries(inode)) {
      const others = named.get(name);
      const place = { index, inode: index.inode(nid) };
      if (others) others.push(place);
      else named.set(name, [place]);
    }
  }
  return named;
}
