import type { ByteString } from '#archive';
import { type IndexFile, type IndexInode, isOpaque, isWhiteout } from '#erofs';
import type { LayerEntry } from './tar-entries.ts';

/** An entry of some layer, and what became of it. */
export interface Fate {
  readonly layer: number;
  readonly item: LayerEntry;
  /** Paths at which it is seen now. */
  names: number;
  /** One of the paths it had. */
  path: ByteString;
  /** The layer that took its last name, and how. */
  gone?: { readonly kind: 'overwritten' | 'deleted'; readonly by: number };
  /** The file of a layer below that it only copies. */
  copyOf?: Fate;
  /** Who copies it in turn. */
  copiedBy?: Fate;
}

interface Node {
  readonly children: Map<ByteString, Node>;
  fates: readonly Fate[];
}

const emptyNode = (): Node => ({ children: new Map(), fates: [] });

/** The files of a chain as its layers are put one on another: who is seen, and who hid whom. */
export class BlameTree {
  readonly #root = emptyNode();

  /** The entry whose contents are seen at a path. */
  seenAt(path: ByteString): Fate | undefined {
    return this.#find(path)?.fates.find(({ item }) => item.digest !== '');
  }

  #find(path: ByteString): Node | undefined {
    let node: Node | undefined = this.#root;
    for (const name of path === '' ? [] : path.split('/')) node = node?.children.get(name);
    return node;
  }

  /** Puts a layer's index on top; `fatesOf` answers the entries behind a path of it. */
  add(layer: number, index: IndexFile, fatesOf: (path: ByteString, inode: IndexInode) => readonly Fate[]): void {
    for (const { path, inode } of index.walk()) {
      const at = path.lastIndexOf('/');
      const parent = this.#make(at < 0 ? '' : path.slice(0, at));
      const name = path.slice(at + 1);
      if (isWhiteout(inode)) {
        this.#remove(parent, name, { kind: 'deleted', by: layer });
        continue;
      }
      const node = path === '' ? this.#root : (parent.children.get(name) ?? emptyNode());
      if (path !== '') parent.children.set(name, node);
      if (inode.type !== 'directory' || isOpaque(inode)) this.#clear(node, path, layer, index);
      this.#hold(node, path, layer, fatesOf(path, inode));
    }
  }

  #make(path: ByteString): Node {
    let node = this.#root;
    for (const name of path === '' ? [] : path.split('/')) {
      const next = node.children.get(name) ?? emptyNode();
      node.children.set(name, next);
      node = next;
    }
    return node;
  }

  /** What is below goes; of it the layer may bring some again. */
  #clear(node: Node, path: ByteString, layer: number, index: IndexFile): void {
    for (const [name, child] of node.children) {
      const childPath = path === '' ? name : `${path}/${name}`;
      const again = index.find(childPath);
      const kind = again !== undefined && !isWhiteout(again) ? 'overwritten' : 'deleted';
      this.#clear(child, childPath, layer, index);
      this.#release(child, { kind, by: layer });
      node.children.delete(name);
    }
  }

  #remove(parent: Node, name: ByteString, gone: NonNullable<Fate['gone']>): void {
    const node = parent.children.get(name);
    if (!node) return;
    const pending = [node];
    for (let at = pending.pop(); at !== undefined; at = pending.pop()) {
      this.#release(at, gone);
      pending.push(...at.children.values());
    }
    parent.children.delete(name);
  }

  #hold(node: Node, path: ByteString, layer: number, fates: readonly Fate[]): void {
    // A hardlink brings the file it names into its layer, which is the same file still.
    if (fates.some((fate) => node.fates.includes(fate))) return;
    for (const fate of fates) {
      fate.names++;
      fate.path = path;
    }
    this.#release(node, { kind: 'overwritten', by: layer });
    node.fates = fates;
  }

  #release(node: Node, gone: NonNullable<Fate['gone']>): void {
    for (const fate of node.fates) if (--fate.names === 0) fate.gone = gone;
    node.fates = [];
  }
}
