import { type ByteString, utf8FromBytes } from '#archive';
import { IndexFile, type IndexInode, type MergedNode, MergedTree, type NamedNode } from '#erofs';
import { EngineError, isErrno } from '#errdefs';
import type { DiffID } from '#oci';
import { layerTag } from '#snapshots';
import { shownPath } from './describe.ts';

/** As many as Linux follows (path_resolution(7)). */
const maxSymlinks = 40;

export interface ImageTreeOptions {
  /** Named in errors. */
  readonly name: string;
  /** From the bottom up. */
  readonly chain: readonly DiffID[];
  /** The index of each layer, in the same order. */
  readonly indexes: readonly string[];
}

export interface FoundFile {
  /** Clean, from the root, without symlinks; '' is the root. */
  readonly path: ByteString;
  readonly node: MergedNode;
}

/** Where some of a file's data is: in a layer's tar, or in the index at `indexPath`. */
export interface DataPlace {
  /** In the file. What no place covers reads as zeros. */
  readonly offset: number;
  readonly lengthBytes: number;
  readonly source: { readonly layer: DiffID } | { readonly index: IndexFile };
  readonly sourceOffset: number;
}

/** The files of an image, merged of its layers' indexes, which are open until it is disposed. */
export class ImageTree implements Disposable {
  readonly #name: string;
  readonly #merged: MergedTree;
  readonly #layerOf: ReadonlyMap<IndexFile, number>;
  readonly #indexOf: ReadonlyMap<IndexFile, string>;
  readonly #byTag: ReadonlyMap<string, DiffID>;
  readonly #resources: DisposableStack;

  constructor(
    { name, chain, indexes: paths }: ImageTreeOptions,
    indexes: readonly IndexFile[],
    resources: DisposableStack,
  ) {
    this.#name = name;
    this.#merged = new MergedTree(indexes.toReversed());
    this.#layerOf = new Map(indexes.map((index, layer) => [index, layer]));
    this.#indexOf = new Map(indexes.map((index, layer) => [index, paths[layer]!]));
    this.#byTag = new Map(chain.map((diffID) => [layerTag(diffID), diffID]));
    this.#resources = resources;
  }

  [Symbol.dispose](): void {
    this.#resources.dispose();
  }

  get root(): FoundFile {
    return { path: '', node: this.#merged.root };
  }

  inode(node: MergedNode): IndexInode {
    return this.#merged.inode(node);
  }

  /** The layer that a file is seen from, counted from 0 at the bottom. */
  layer(node: MergedNode): number {
    return this.#layerOf.get(node.places[0]!.index)!;
  }

  /** Where a node comes from, in words that say the same of another image's tree. */
  places(node: MergedNode): string[] {
    return node.places.map(({ index, inode }) => `${this.#indexOf.get(index)}:${inode.nid}`);
  }

  /** Names in byte order. */
  *children({ path, node }: FoundFile): Generator<FoundFile> {
    for (const { name, node: child } of this.#merged.children(node))
      yield { path: path === '' ? name : `${path}/${name}`, node: child };
  }

  /** Where a file's data is, ordered. */
  data(node: MergedNode): DataPlace[] {
    const { index, inode } = node.places[0]!;
    return index.runs(inode).map(({ device, deviceOffset, ...run }) => ({
      ...run,
      source: device === 0 ? { index } : { layer: this.#byTag.get(index.devices[device - 1]!.tag)! },
      sourceOffset: deviceOffset,
    }));
  }

  /**
   * Finds a path as a process in the image's root would: symlinks and `..` never lead out of it.
   * @throws `not-found` when nothing is there; `invalid-argument` for a path that goes in circles.
   */
  find(path: ByteString, { follow }: { readonly follow: boolean }): FoundFile {
    const way: FoundFile[] = [this.root];
    const pending = path.split('/').reverse();
    for (let symlinks = 0; pending.length > 0; ) {
      const name = pending.pop()!;
      const at = way.at(-1)!;
      if (name === '' || name === '.' || name === '..') {
        if (this.inode(at.node).type !== 'directory') throw this.#missing(path, 'not a directory');
        if (name === '..' && way.length > 1) way.pop();
        continue;
      }
      const child = this.#child(at.node, name);
      if (!child) throw this.#missing(path);
      const inode = this.inode(child.node);
      if (inode.type !== 'symlink' || (pending.length === 0 && !follow)) {
        way.push({ path: at.path === '' ? child.name : `${at.path}/${child.name}`, node: child.node });
        continue;
      }
      if (++symlinks > maxSymlinks) {
        throw new EngineError('invalid-argument', `${shownPath(path)}: too many levels of symbolic links`);
      }
      if (inode.linkPath.startsWith('/')) way.length = 1;
      pending.push(...inode.linkPath.split('/').reverse());
    }
    return way.at(-1)!;
  }

  /** A name that is not UTF-8 is also found as it is shown, unless several are shown so. */
  #child(node: MergedNode, name: ByteString): NamedNode | undefined {
    const exact = this.#merged.child(node, name);
    if (exact) return { name, node: exact };
    if (!name.includes(replacementBytes)) return undefined;
    const shown = utf8FromBytes(name);
    const alike = [...this.#merged.children(node)].filter((child) => utf8FromBytes(child.name) === shown);
    return alike.length === 1 ? alike[0] : undefined;
  }

  #missing(path: ByteString, fact?: string): EngineError {
    const text = `Could not find the file ${shownPath(path)} in image ${this.#name}`;
    return new EngineError('not-found', fact ? `${text}: ${fact}` : text);
  }
}

/** U+FFFD in UTF-8. */
const replacementBytes = Buffer.from('\ufffd').toString('latin1');

/** @throws `conflict` when a layer is removed meanwhile; `data-loss` for a broken index. */
export function openImageTree(options: ImageTreeOptions): ImageTree {
  using resources = new DisposableStack();
  // A layer may be in a chain several times.
  const indexes = options.indexes.map((path) => resources.use(openIndex(path, options.name)));
  return new ImageTree(options, indexes, resources.move());
}

function openIndex(path: string, name: string): IndexFile {
  try {
    return IndexFile.open(path);
  } catch (cause) {
    if (!isErrno(cause, 'ENOENT')) throw cause;
    throw new EngineError('conflict', `image ${name} is being removed`, { cause });
  }
}
