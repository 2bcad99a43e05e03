import type { ListedContext } from '#api-types';
import type { ByteString } from '#archive';
import {
  checkedEntry,
  decodeEntry,
  decodeListing,
  encodeEntry,
  type ListedEntry,
  type Listing,
} from '#context-listing';
import { EngineError } from '#errdefs';
import { type FilePart, fromBytes } from '#streams';
import {
  type BuildContext,
  type HashedHeader,
  pace,
  parentOf,
  plainFolder,
  printable,
  startFileHash,
  type TreeNode,
  type Walked,
} from '../executor/index.ts';
import type { ListedEntries } from '../types.ts';
import type { ContextMemory, Digests } from './context-memory.ts';
import { ReceivedFiles } from './received-files.ts';
import { isSettled } from './stamps.ts';

interface ListedNode extends TreeNode {
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

export interface ListedTreeOptions {
  /** Where received contents are put, until the tree is disposed. */
  readonly dataPath: string;
  readonly memory: ContextMemory;
  /** What the daemon asks for goes to the client with the build's progress. */
  readonly report: Parameters<ListedContext['send']>[1]['report'];
  readonly signal: AbortSignal;
}

const noAttributes: ReadonlyMap<ByteString, Uint8Array> = new Map();
const noChildren: ListedNode[] = [];
const maxEntries = 4_000_000;

/**
 * A context whose files are elsewhere. A content is asked for when its digest is needed and not remembered, or when a step that runs reads it; it is hashed
 * as it comes, so nobody's word is taken for what is in a file.
 */
export class ListedTree implements BuildContext {
  readonly #listed: Pick<ListedContext, 'send'>;
  readonly #options: ListedTreeOptions;
  readonly #listing: Listing;
  readonly #known: Digests;
  readonly #received: ReceivedFiles;
  readonly #nodes = new Map<ByteString, ListedNode>();
  /** The folder of the last line: most stand in the same as the one before. */
  #folder: ListedNode;
  /** Lines whose digest was found out in this build and will hold for the next. */
  readonly #learned = new Map<string, string>();
  /** Lines that turned out to be wrong. */
  readonly #refuted = new Set<string>();
  #inodes = 0;
  #receiving: Promise<void> = Promise.resolve();

  private constructor(
    listed: Pick<ListedContext, 'send'>,
    listing: Listing,
    known: Digests,
    options: ListedTreeOptions,
  ) {
    this.#listed = listed;
    this.#listing = listing;
    this.#known = known;
    this.#options = options;
    this.#received = new ReceivedFiles(options.dataPath);
    this.#folder = impliedNode('');
    this.#nodes.set('', this.#folder);
  }

  /** @throws EngineError `invalid-argument` for a listing that is not well-formed */
  static async open(listed: ListedContext | ListedEntries, options: ListedTreeOptions): Promise<ListedTree> {
    const given = 'entries' in listed ? listed.entries : undefined;
    const listing = 'entries' in listed ? linesOf(listed) : decodeListing(listed.listing);
    if (listing.lines.length > maxEntries) {
      throw new EngineError('invalid-argument', `build context: more than ${maxEntries} entries`);
    }
    const tree = new ListedTree(listed, listing, await options.memory.load(listing.context), options);
    const rest = pace();
    for (const [index, line] of listing.lines.entries()) {
      await rest();
      tree.#place(given ? checkedEntry(given[index]!, index) : decodeEntry(line, index), index);
    }
    return tree;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#receiving.catch(() => {});
    await this.#received[Symbol.asyncDispose]();
    await this.#remember();
  }

  async lstat(path: ByteString): Promise<TreeNode | undefined> {
    return this.#nodes.get(path);
  }

  walk(path: ByteString): readonly Walked[] {
    const found: ListedNode[] = [];
    const start = this.#nodes.get(path);
    const pending = start ? [start] : [];
    for (let node = pending.pop(); node; node = pending.pop()) {
      found.push(node);
      const inside = childrenOf(node);
      for (let index = inside.length - 1; index >= 0; index--) pending.push(inside[index]!);
    }
    return found.map((node) => ({ path: node.path, node }));
  }

  async list(path: ByteString): Promise<readonly ByteString[]> {
    const node = this.#nodes.get(path);
    return node ? childrenOf(node).map((child) => nameOf(child.path)) : [];
  }

  async xattrs(path: ByteString): Promise<ReadonlyMap<ByteString, Uint8Array>> {
    return this.#nodes.get(path)?.attributes ?? noAttributes;
  }

  async hash(path: ByteString): Promise<string> {
    const node = this.#nodes.get(path);
    return node?.line === undefined ? printable(path) : await this.#digestOf(node);
  }

  /** A hardlink's own digest says nothing of the content it shares. */
  async contentHash(path: ByteString): Promise<string> {
    const node = this.#nodes.get(path);
    if (node?.line === undefined) return printable(path);
    const own = await this.#digestOf(node);
    return node.first ? own + (await this.#digestOf(node.first)) : own;
  }

  async expect(paths: readonly ByteString[], what: 'digests' | 'contents'): Promise<void> {
    await this.#fetch(
      this.#files(paths).filter((node) => what === 'contents' || node.digest === undefined),
      this.#options.signal,
    );
  }

  async digestAs(path: ByteString, changed: { name?: ByteString; mode?: number }): Promise<string | undefined> {
    const node = this.#nodes.get(path);
    if (node?.type !== 'file' || node.inode !== undefined || !this.#isHere(node)) return undefined;
    const hash = startFileHash({ ...hashedHeader(node), ...changed });
    for await (const chunk of this.read(path)) hash.update(chunk);
    return hash.digest('hex');
  }

  async *read(path: ByteString): AsyncGenerator<Uint8Array> {
    const named = this.#nodes.get(path);
    const node = named?.first ?? named;
    if (node?.type !== 'file') throw new EngineError('not-found', `read ${printable(path)}: no such file`);
    if (!this.#isHere(node)) await this.#fetch([node], this.#options.signal);
    if (node.content) yield* fromBytes(node.content);
    else if (node.sizeBytes > 0) yield* this.#received.read(node.line!, node.sizeBytes);
  }

  place(path: ByteString): FilePart | undefined {
    const named = this.#nodes.get(path);
    const node = named?.first ?? named;
    return node?.line === undefined || node.content ? undefined : this.#received.place(node.line, node.sizeBytes);
  }

  remove(path: ByteString): void {
    const node = this.#nodes.get(path);
    if (path === '' || !node) return;
    this.#nodes.delete(path);
    const siblings = this.#nodes.get(parentOf(path))?.children;
    siblings?.splice(siblings.indexOf(node), 1);
    for (const child of node.children.slice()) this.remove(child.path);
  }

  #isHere(node: ListedNode): boolean {
    return node.content !== undefined || node.sizeBytes === 0 || this.#received.has(node.line!);
  }

  async #digestOf(node: ListedNode): Promise<string> {
    if (node.digest !== undefined) return node.digest;
    if (node.type === 'file' && !node.content && node.sizeBytes > 0) {
      await this.#fetch([node], this.#options.signal);
      return node.digest!;
    }
    const hash = startFileHash(hashedHeader(node));
    if (node.content) hash.update(node.content);
    node.digest = hash.digest('hex');
    return node.digest;
  }

  /** The plain files among paths, hardlinks as the file they name. */
  #files(paths: readonly ByteString[]): ListedNode[] {
    const found: ListedNode[] = [];
    for (const path of paths) {
      const node = this.#nodes.get(path);
      const file = node?.first ?? node;
      if (file?.type === 'file' && !this.#isHere(file)) found.push(file);
    }
    return found;
  }

  /** One stream at a time; what came meanwhile is not asked for again. */
  async #fetch(files: readonly ListedNode[], signal: AbortSignal): Promise<void> {
    if (files.length === 0) return;
    const turn = this.#receiving
      .catch(() => {})
      .then(async () => {
        const missing = [...new Set(files)].filter((node) => !this.#isHere(node)).sort((a, b) => a.line! - b.line!);
        if (missing.length > 0) await this.#receive(missing, signal);
      });
    this.#receiving = turn;
    await turn;
  }

  async #receive(files: readonly ListedNode[], signal: AbortSignal): Promise<void> {
    const { report } = this.#options;
    const source = this.#listed.send(
      files.map((node) => node.line!),
      { report, signal },
    );
    await this.#received.take(
      source,
      files.map((node) => ({ line: node.line!, sizeBytes: node.sizeBytes, header: hashedHeader(node) })),
      (at, digest, asListed) => this.#note(files[at]!, digest, asListed),
    );
  }

  /** @throws `failed-precondition` when a content is not the one that a step was decided by */
  #note(node: ListedNode, digest: string, asListed: boolean): void {
    const line = this.#listing.lines[node.line!]!;
    if (node.digest !== undefined && node.digest !== digest) {
      this.#refuted.add(line);
      throw new EngineError(
        'failed-precondition',
        `build context: ${printable(node.path)} changed while the image was built: build again`,
      );
    }
    node.digest = digest;
    if (asListed && isSettled(node.stamp, this.#listing.takenMs)) this.#learned.set(line, digest);
  }

  async #remember(): Promise<void> {
    const { memory } = this.#options;
    const { context, lines } = this.#listing;
    if (this.#learned.size === 0 && this.#refuted.size === 0) return await memory.touch(context);
    const digests = new Map<string, string>();
    for (const line of lines) {
      const digest = this.#learned.get(line) ?? this.#known.get(line);
      if (digest !== undefined && !this.#refuted.has(line)) digests.set(line, digest);
    }
    await memory.save(context, digests);
  }

  #place(entry: ListedEntry, index: number): void {
    const { path } = entry;
    if (this.#nodes.has(path)) throw fault(path, 'listed twice');
    const parent = parentOf(path);
    if (this.#folder.path !== parent) this.#folder = this.#folderAt(parent);
    const line = this.#listing.lines[index]!;
    const node = entry.type === 'hardlink' ? this.#linked(entry, index) : newNode(entry, index, this.#known.get(line));
    this.#nodes.set(path, node);
    this.#folder.children.push(node);
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

  #linked(entry: ListedEntry & { type: 'hardlink' }, index: number): ListedNode {
    const target = this.#nodes.get(entry.linkPath);
    if (!target || target.type === 'directory') {
      throw fault(entry.path, `hardlink to ${printable(entry.linkPath)}, which is no file before it`);
    }
    const first = target.first ?? target;
    first.inode ??= `${++this.#inodes}`;
    const header = { ...plainFolder, ...entry, uid: 0, gid: 0, sizeBytes: 0, name: entry.path, xattrs: noAttributes };
    const digest = startFileHash({ ...header, type: 'hardlink' }).digest('hex');
    return { ...first, path: entry.path, line: index, first, digest, children: noChildren };
  }
}

function linesOf({ context, takenMs, entries }: ListedEntries): Listing {
  return { context, takenMs, lines: entries.map(encodeEntry) };
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

function hashedHeader(node: ListedNode): HashedHeader {
  const { type, path, mode, uid, gid, sizeBytes, linkPath, devMajor, devMinor, attributes: xattrs } = node;
  const name = type === 'directory' ? `${path}/` : path;
  return { name, type: type as HashedHeader['type'], mode, uid, gid, sizeBytes, linkPath, devMajor, devMinor, xattrs };
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
