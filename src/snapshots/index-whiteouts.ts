import type { ByteString } from '#archive';
import { IndexFile, type IndexInode, isOpaque, isWhiteout, type LowerLookup } from '#erofs';

/**
 * Why whiteouts need care: overlayfs reads a folder that only one layer has straight from that layer, and then lists the layer's
 * whiteouts in it as names. So a whiteout may be only where there is something to hide. And the roots of a stack are merged
 * whatever they say, so an opaque root does nothing.
 */

/** The part of an index under construction that is worked on here. */
export interface IndexTree {
  readonly root: IndexFolder;
  readonly directories: ReadonlyMap<number, IndexFolder>;
  readonly whiteoutInode: number;
  whiteout(parent: number, name: ByteString): void;
}

interface IndexFolder {
  readonly inode: number;
  readonly entries: Map<ByteString, number>;
  opaque: boolean;
}

/** Takes whiteouts that hide nothing out of a layer's tree, and turns an opaque root into whiteouts of what is below. */
export function settleWhiteouts(tree: IndexTree, lookup: LowerLookup, namesBelow: () => ReadonlySet<ByteString>): void {
  if (tree.root.opaque) {
    tree.root.opaque = false;
    for (const name of namesBelow()) {
      if (lookup(name) !== undefined) tree.whiteout(tree.root.inode, name);
    }
  }
  if (tree.whiteoutInode !== 0) dropIdle(tree, tree.root, '', lookup);
}

function dropIdle(tree: IndexTree, folder: IndexFolder, path: ByteString, lookup: LowerLookup): void {
  for (const [name, inode] of folder.entries) {
    const childPath = path + name;
    const child = tree.directories.get(inode);
    if (child) dropIdle(tree, child, `${childPath}/`, folder.opaque ? () => undefined : lookup);
    else if (inode !== tree.whiteoutInode) continue;
    else if (folder.opaque || lookup(childPath) === undefined) folder.entries.delete(name);
  }
}

/** What the whiteouts of a finished index are like. */
export type WhiteoutUse = 'none' | 'some' | 'idle';

/** `idle`: one at least hides nothing in the chain below, or the root is opaque. Without `lookup` only whether there are any. */
export function whiteoutUse(path: string, lookup: LowerLookup | undefined): WhiteoutUse {
  using index = IndexFile.open(path);
  if (isOpaque(index.root)) return lookup === undefined ? 'some' : 'idle';
  let use: WhiteoutUse = 'none';
  for (const whiteout of whiteoutsIn(index, index.root, '')) {
    if (lookup === undefined) return 'some';
    if (lookup(whiteout) === undefined) return 'idle';
    use = 'some';
  }
  return use;
}

/** As directory entries name them (EROFS on-disk format, the same numbers as ext2). */
const directoryEntry = 2;
const charEntry = 3;

function* whiteoutsIn(index: IndexFile, folder: IndexInode, path: ByteString): Generator<ByteString> {
  for (const { name, nid, type } of index.entries(folder)) {
    if (type !== directoryEntry && type !== charEntry) continue;
    const inode = index.inode(nid);
    if (inode.type === 'directory') yield* whiteoutsIn(index, inode, `${path}${name}/`);
    // In an opaque folder it hides nothing; a path nobody has says so.
    else if (isWhiteout(inode)) yield isOpaque(folder) ? '\0' : path + name;
  }
}
