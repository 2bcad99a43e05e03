import type { ByteString } from '#archive';
import type { ListedEntry } from '#context-listing';
import { EngineError } from '#errdefs';
import {
  type HashedHeader,
  parentOf,
  plainFolder,
  printable,
  startFileHash,
  type TreeNode,
  type Walked,
} from '../executor/index.ts';

export interface ListedNode extends TreeNode {
  inode: string | undefined;
  readonly path: ByteString;
  /** Number of its line; undefined for a folder that is only implied. */
  readonly line: number | undefined;
  readonly attributes: ReadonlyMap<ByteString, Uint8Array>;
  /** Of a hardlink: the name that has the content. */
  readonly first: ListedNode | undefined;
  readonly content: Uint8Array | undefined;
  readonly stamp: string | undefined;
  /** Of a folder: what is in it, in the order of their names once somebody has asked. */
  readonly children: ListedNode[];
  isSorted: boolean;
  /** As Docker's tarsum of the entry; of a file unknown until its content was seen, now or earlier. */
  digest: string | undefined;
}

export const noAttributes: ReadonlyMap<ByteString, Uint8Array> = new Map();
const noChildren: ListedNode[] = [];

/** The names of a listing, as the tree that they are. */
export class ListedNodes {
  readonly #nodes = new Map<ByteString, ListedNode>();
  /** The folder of the last line: most stand in the same as the one before. */
  #folder: ListedNode;
  #inodes = 0;

  constructor() {
    this.#folder = impliedNode('');
    this.#nodes.set('', this.#folder);
  }

  get(path: ByteString): ListedNode | undefined {
    return this.#nodes.get(path);
  }

  /** The entry of a line, in the order of the lines; of a file with its digest where that is known. @throws EngineError `invalid-argument` */
  add(entry: ListedEntry, line: number, digest: string | undefined): void {
    const { path } = entry;
    if (this.#nodes.has(path)) throw fault(path, 'listed twice');
    const parent = parentOf(path);
    if (this.#folder.path !== parent) this.#folder = this.#folderAt(parent);
    const node = entry.type === 'hardlink' ? this.#linked(entry, line) : newNode(entry, line, digest);
    this.#nodes.set(path, node);
    this.#folder.children.push(node);
  }

  /** Folders before what is in them, by name. */
  walk(path: ByteString): readonly Walked[] {
    const found: Walked[] = [];
    const start = this.#nodes.get(path);
    const pending = start ? [start] : [];
    for (let node = pending.pop(); node; node = pending.pop()) {
      found.push({ path: node.path, node });
      const inside = childrenOf(node);
      for (let index = inside.length - 1; index >= 0; index--) pending.push(inside[index]!);
    }
    return found;
  }

  names(path: ByteString): readonly ByteString[] {
    const node = this.#nodes.get(path);
    return node ? childrenOf(node).map((child) => nameOf(child.path)) : [];
  }

  remove(path: ByteString): void {
    const node = this.#nodes.get(path);
    if (path === '' || !node) return;
    this.#nodes.delete(path);
    const siblings = this.#nodes.get(parentOf(path))?.children;
    siblings?.splice(siblings.indexOf(node), 1);
    for (const child of node.children.slice()) this.remove(child.path);
  }

  /** Also of folders that .dockerignore leaves out while it lets something in them through. */
  #folderAt(path: ByteString): ListedNode {
    const node = this.#nodes.get(path);
    if (node?.type === 'directory') return node;
    if (node) throw fault(path, 'has something below it and is no folder');
    const implied = impliedNode(path);
    this.#folderAt(parentOf(path)).children.push(implied);
    this.#nodes.set(path, implied);
    return implied;
  }

  #linked(entry: ListedEntry & { type: 'hardlink' }, line: number): ListedNode {
    const target = this.#nodes.get(entry.linkPath);
    if (!target || target.type === 'directory') {
      throw fault(entry.path, `hardlink to ${printable(entry.linkPath)}, which is no file before it`);
    }
    const first = target.first ?? target;
    first.inode ??= `${++this.#inodes}`;
    const header = { ...plainFolder, ...entry, uid: 0, gid: 0, sizeBytes: 0, name: entry.path, xattrs: noAttributes };
    const digest = startFileHash({ ...header, type: 'hardlink' }).digest('hex');
    return { ...first, path: entry.path, line, first, digest, children: noChildren };
  }
}

/** What of a node its digest is made of, beside the content. */
export function hashedHeader(node: ListedNode): HashedHeader {
  const { type, path, mode, uid, gid, sizeBytes, linkPath, devMajor, devMinor, attributes: xattrs } = node;
  const name = type === 'directory' ? `${path}/` : path;
  return { name, type: type as HashedHeader['type'], mode, uid, gid, sizeBytes, linkPath, devMajor, devMinor, xattrs };
}

function fault(path: ByteString, fact: string): EngineError {
  return new EngineError('invalid-argument', `build context: ${printable(path)}: ${fact}`);
}

function newNode(
  entry: Exclude<ListedEntry, { type: 'hardlink' }>,
  line: number,
  digest: string | undefined,
): ListedNode {
  const { path, type, mode, mtimeSec } = entry;
  const capability = entry.type === 'file' ? entry.capability : undefined;
  return {
    path,
    type,
    mode,
    uid: 0,
    gid: 0,
    sizeBytes: entry.type === 'file' ? entry.sizeBytes : 0,
    linkPath: entry.type === 'symlink' ? entry.linkPath : '',
    mtime: { sec: mtimeSec, nsec: 0 },
    devMajor: 'devMajor' in entry ? entry.devMajor : 0,
    devMinor: 'devMinor' in entry ? entry.devMinor : 0,
    inode: undefined,
    line,
    first: undefined,
    attributes: capability ? new Map([['security.capability', capability]]) : noAttributes,
    content: entry.type === 'file' ? entry.content : undefined,
    stamp: entry.type === 'file' ? entry.stamp : undefined,
    children: type === 'directory' ? [] : noChildren,
    isSorted: false,
    digest,
  };
}

function impliedNode(path: ByteString): ListedNode {
  const nothing = { line: undefined, first: undefined, content: undefined, stamp: undefined, digest: undefined };
  const folder = { children: [], isSorted: false };
  return { ...plainFolder, ...nothing, ...folder, path, attributes: noAttributes };
}

/** Sorted by bytes: of siblings the whole paths sort as their names do. */
function childrenOf(node: ListedNode): readonly ListedNode[] {
  if (!node.isSorted && node.children.length > 1) node.children.sort((a, b) => (a.path < b.path ? -1 : 1));
  node.isSorted = true;
  return node.children;
}

function nameOf(path: ByteString): ByteString {
  return path.slice(path.lastIndexOf('/') + 1);
}
