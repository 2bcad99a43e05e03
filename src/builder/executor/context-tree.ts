import { readSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { type ByteString, readTar, type TarItem } from '#archive';
import { EngineError } from '#errdefs';
import type { ByteSource, FilePart } from '#streams';
import type { BuildContext } from './build-context.ts';
import { startFileHash } from './file-hash.ts';
import { inflateAny } from './inflate.ts';
import { pace } from './pace.ts';
import {
  cleanTreePath,
  type NodeType,
  parentOf,
  plainFolder,
  printable,
  type TreeNode,
  type Walked,
  walkNames,
} from './source-tree.ts';

interface ContextNode extends TreeNode {
  /** Where the content is in the data file. */
  readonly offset: number;
  readonly attributes: ReadonlyMap<ByteString, Uint8Array>;
}

interface Sum {
  readonly shown: string;
  readonly content: string;
}

/** Sparse files longer than this are an attack on the disk, not a build context. */
const maxSparseBytes = 16 * 2 ** 30;
const maxContextEntries = 4_000_000;
const writeBytes = 1 << 20;
const smallFileBytes = 1 << 16;

/**
 * A build context: its tar is read once, names and digests stay in memory, contents go one behind the other into one file of the caller's scratch
 * folder. Nothing is unpacked, so no path in it can reach anything. Dispose closes the file; the caller removes the folder.
 */
export class ContextTree implements BuildContext {
  readonly #nodes = new Map<ByteString, ContextNode>();
  readonly #children = new Map<ByteString, Set<ByteString>>();
  readonly #sorted = new Map<ByteString, readonly ByteString[]>();
  readonly #sums = new Map<ByteString, Sum>();
  readonly #data: FileHandle;
  #inodes = 0;
  #sizeBytes = 0;
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;

  private constructor(data: FileHandle) {
    this.#data = data;
    this.#nodes.set('', implied);
    this.#children.set('', new Set());
  }

  /**
   * @param source tar, plain or compressed
   * @throws EngineError `invalid-argument` for what is not a well-formed tar
   */
  static async read(source: ByteSource, dataPath: string, options: { signal: AbortSignal }): Promise<ContextTree> {
    const tree = new ContextTree(await open(dataPath, 'wx+', 0o600));
    try {
      const rest = pace();
      for await (const item of readTar(inflateAny(source))) {
        options.signal.throwIfAborted();
        await rest();
        await tree.#take(item);
      }
      await tree.#flush();
      return tree;
    } catch (error) {
      await tree[Symbol.asyncDispose]();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#data.close();
  }

  /** Bytes of all contents. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  async lstat(path: ByteString): Promise<TreeNode | undefined> {
    return this.#nodes.get(path);
  }

  async list(path: ByteString): Promise<readonly ByteString[]> {
    return this.#names(path);
  }

  #names(path: ByteString): readonly ByteString[] {
    let names = this.#sorted.get(path);
    if (!names) this.#sorted.set(path, (names = [...(this.#children.get(path) ?? [])].sort()));
    return names;
  }

  walk(path: ByteString): readonly Walked[] {
    return walkNames(
      path,
      (at) => this.#nodes.get(at),
      (at) => this.#names(at),
    );
  }

  async xattrs(path: ByteString): Promise<ReadonlyMap<ByteString, Uint8Array>> {
    return this.#nodes.get(path)?.attributes ?? new Map();
  }

  async hash(path: ByteString): Promise<string> {
    return this.#sums.get(path)?.shown ?? printable(path);
  }

  async contentHash(path: ByteString): Promise<string> {
    return this.#sums.get(path)?.content ?? printable(path);
  }

  /** What {@link contentHash} would be under another name or with another mode; undefined for what is no plain file. */
  async digestAs(path: ByteString, changed: { name?: ByteString; mode?: number }): Promise<string | undefined> {
    const node = this.#nodes.get(path);
    if (node?.type !== 'file' || node.inode !== undefined) return undefined;
    const header = { ...node, name: path, uid: 0, gid: 0, xattrs: node.attributes, ...changed };
    const hash = startFileHash({ ...header, type: 'file' });
    for await (const chunk of this.read(path)) hash.update(chunk);
    return hash.digest('hex');
  }

  async *read(path: ByteString): AsyncGenerator<Uint8Array> {
    const node = this.#nodes.get(path);
    if (node?.type !== 'file') throw new EngineError('not-found', `read ${printable(path)}: no such file`);
    if (node.sizeBytes <= smallFileBytes) {
      yield this.#readSmall(node, path);
      return;
    }
    const end = node.offset + node.sizeBytes;
    for (let at = node.offset; at < end; ) {
      const chunk = Buffer.allocUnsafe(Math.min(writeBytes, end - at));
      const { bytesRead } = await this.#data.read(chunk, 0, chunk.length, at);
      if (bytesRead === 0) throw new EngineError('data-loss', `read ${printable(path)}: build context ends early`);
      at += bytesRead;
      yield chunk.subarray(0, bytesRead);
    }
  }

  place(path: ByteString): FilePart | undefined {
    const node = this.#nodes.get(path);
    if (node?.type !== 'file') return undefined;
    return { fd: this.#data.fd, offset: node.offset, lengthBytes: node.sizeBytes, staysOpen: true };
  }

  /** Just written, so in the page cache: a synchronous read takes microseconds, a trip through the thread pool many times that. */
  #readSmall(node: ContextNode, path: ByteString): Buffer {
    const chunk = Buffer.allocUnsafe(node.sizeBytes);
    for (let at = 0; at < chunk.length; ) {
      const bytesRead = readSync(this.#data.fd, chunk, at, chunk.length - at, node.offset + at);
      if (bytesRead === 0) throw new EngineError('data-loss', `read ${printable(path)}: build context ends early`);
      at += bytesRead;
    }
    return chunk;
  }

  /** Takes a name out, with everything below it. */
  remove(path: ByteString): void {
    if (path === '' || !this.#nodes.delete(path)) return;
    this.#sums.delete(path);
    const parent = parentOf(path);
    this.#children.get(parent)?.delete(path.slice(parent === '' ? 0 : parent.length + 1));
    this.#sorted.delete(parent);
    for (const name of this.#children.get(path) ?? []) this.remove(`${path}/${name}`);
    this.#children.delete(path);
    this.#sorted.delete(path);
  }

  async #take(item: TarItem): Promise<void> {
    if (this.#nodes.size > maxContextEntries) {
      throw new EngineError('invalid-argument', `build context: more than ${maxContextEntries} entries`);
    }
    if (item.sparse && item.sizeBytes > maxSparseBytes) {
      throw new EngineError('invalid-argument', `build context: sparse file ${printable(item.path)} is too large`);
    }
    const path = cleanTreePath(item.path);
    const header = { ...item, name: path + (item.type === 'directory' ? '/' : '') };
    const hashes = [startFileHash(header)];
    // Owners of a context mean nothing, as copies belong to root or to --chown: what history shows has them, the cache key has not.
    if (item.uid !== 0 || item.gid !== 0) hashes.push(startFileHash({ ...header, uid: 0, gid: 0 }));
    const node = item.type === 'hardlink' ? this.#linked(item) : await this.#node(item, hashes);
    const [shown, content = shown] = hashes.map((hash) => hash.digest('hex'));
    // A hardlink's header says nothing of the content it shares.
    const shared = item.type === 'hardlink' ? await this.contentHash(cleanTreePath(item.linkPath)) : '';
    this.#place(path, node, { shown: shown!, content: content! + shared });
  }

  #linked(item: TarItem): ContextNode {
    const targetPath = cleanTreePath(item.linkPath);
    const target = this.#nodes.get(targetPath);
    if (!target || target.type === 'directory') {
      const names = `${printable(item.path)} to ${printable(item.linkPath)}`;
      throw new EngineError('invalid-argument', `build context: hardlink ${names}: no such file`);
    }
    const linked = { ...target, inode: target.inode ?? `${++this.#inodes}` };
    this.#nodes.set(targetPath, linked);
    return linked;
  }

  async #node(item: TarItem, hashes: readonly ReturnType<typeof startFileHash>[]): Promise<ContextNode> {
    const offset = this.#sizeBytes;
    if (item.type === 'file') {
      for await (const chunk of item.body) {
        for (const hash of hashes) hash.update(chunk);
        await this.#append(chunk);
      }
      if (this.#sizeBytes - offset !== item.sizeBytes) {
        throw new EngineError('invalid-argument', `build context: ${printable(item.path)} ends early`);
      }
    }
    const { mode, uid, gid, sizeBytes, linkPath, mtime, devMajor, devMinor } = item;
    const type = item.type as NodeType;
    const attributes = item.xattrs;
    return {
      type,
      mode,
      uid,
      gid,
      sizeBytes,
      linkPath,
      mtime,
      devMajor,
      devMinor,
      inode: undefined,
      offset,
      attributes,
    };
  }

  #place(path: ByteString, node: ContextNode, sum: Sum): void {
    if (path === '') {
      if (node.type === 'directory') this.#nodes.set('', node);
      return;
    }
    this.#makeParents(parentOf(path));
    const old = this.#nodes.get(path);
    if (old && !(old.type === 'directory' && node.type === 'directory')) this.remove(path);
    this.#nodes.set(path, node);
    this.#sums.set(path, sum);
    if (node.type === 'directory' && !this.#children.has(path)) this.#children.set(path, new Set());
    this.#addChild(path);
  }

  /** Folders that the tar does not name; a file or symlink in their place gives way, as nothing may be reached through it. */
  #makeParents(path: ByteString): void {
    if (this.#nodes.get(path)?.type === 'directory') return;
    this.#makeParents(parentOf(path));
    this.remove(path);
    this.#nodes.set(path, implied);
    this.#children.set(path, new Set());
    this.#addChild(path);
  }

  #addChild(path: ByteString): void {
    const parent = parentOf(path);
    this.#children.get(parent)!.add(path.slice(parent === '' ? 0 : parent.length + 1));
    this.#sorted.delete(parent);
  }

  async #append(chunk: Uint8Array): Promise<void> {
    this.#sizeBytes += chunk.length;
    // The reader's chunks are views into its input: kept only until they are written.
    this.#pending.push(chunk);
    this.#pendingBytes += chunk.length;
    if (this.#pendingBytes >= writeBytes) await this.#flush();
  }

  async #flush(): Promise<void> {
    const chunks = this.#pending;
    this.#pending = [];
    this.#pendingBytes = 0;
    for (let at = 0; at < chunks.length; at += 512) {
      const batch = chunks.slice(at, at + 512);
      const wanted = batch.reduce((sum, chunk) => sum + chunk.length, 0);
      const { bytesWritten } = await this.#data.writev(batch);
      if (bytesWritten !== wanted) throw new EngineError('unavailable', 'write build context: no space left on device');
    }
  }
}

const implied: ContextNode = { ...plainFolder, offset: 0, attributes: new Map() };
