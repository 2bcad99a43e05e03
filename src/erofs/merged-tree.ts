import type { ByteString } from '#archive';
import { type Place, visible } from './chain.ts';
import { opaqueXattr } from './format.ts';
import { type IndexFile, type IndexInode, isOpaque } from './image.ts';

/** A file as a chain shows it: where it is, topmost first. Folders are merged of several places, everything else has one. */
export interface MergedNode {
  readonly places: readonly Place[];
}

export interface NamedNode {
  readonly name: ByteString;
  readonly node: MergedNode;
}

/** The merged view of a chain, from its indexes, topmost first: what a container of it would see, without a mount. */
export class MergedTree {
  readonly root: MergedNode;

  constructor(indexes: readonly IndexFile[]) {
    this.root = { places: visible(indexes.map((index) => ({ index, inode: index.root }))) };
  }

  /** The inode that is seen: the topmost, free of what it meant to its own layer. */
  inode(node: MergedNode): IndexInode {
    const { inode } = node.places[0]!;
    if (!isOpaque(inode)) return inode;
    return { ...inode, xattrs: new Map([...inode.xattrs].filter(([name]) => name !== opaqueXattr)) };
  }

  child(node: MergedNode, name: ByteString): MergedNode | undefined {
    const found: Place[] = [];
    for (const { index, inode } of node.places) {
      const child = index.lookup(inode, name);
      if (child) found.push({ index, inode: child });
    }
    return nodeOf(found);
  }

  /** What a folder holds, in byte order of the names. */
  *children(node: MergedNode): Generator<NamedNode> {
    if (node.places[0]!.inode.type !== 'directory') return;
    const named = new Map<ByteString, Place[]>();
    for (const { index, inode } of node.places) {
      for (const { name, nid } of index.entries(inode)) {
        const place = { index, inode: index.inode(nid) };
        const others = named.get(name);
        if (others) others.push(place);
        else named.set(name, [place]);
      }
    }
    for (const name of node.places.length === 1 ? named.keys() : [...named.keys()].sort()) {
      const child = nodeOf(named.get(name)!);
      if (child) yield { name, node: child };
    }
  }
}

function nodeOf(places: readonly Place[]): MergedNode | undefined {
  const seen = visible(places);
  return seen.length === 0 ? undefined : { places: seen };
}
