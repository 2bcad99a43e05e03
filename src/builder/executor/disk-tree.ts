import { closeSync, constants, createReadStream, fstatSync, openSync, readSync } from 'node:fs';
import { readdir, readlink } from 'node:fs/promises';
import { type ByteString, byteString } from '#archive';
import { isErrno } from '#errdefs';
import { type FullStat, sys } from '#sys';
import { startFileHash } from './file-hash.ts';
import { pace } from './pace.ts';
import { type NodeType, printable, resolvePath, type SourceTree, type TreeNode } from './source-tree.ts';

/** By the type bits of `st_mode`. */
const types: ReadonlyMap<number, NodeType> = new Map([
  [0o010000, 'fifo'],
  [0o020000, 'char'],
  [0o040000, 'directory'],
  [0o060000, 'block'],
  [0o100000, 'file'],
  [0o120000, 'symlink'],
]);

const smallFileBytes = 1 << 16;

/**
 * A mounted root that nobody changes meanwhile. Callers give paths whose parents are no symlinks (as {@link resolvePath} answers them), so that
 * no call leaves the root.
 */
export class DiskTree implements SourceTree {
  readonly root: string;
  readonly #sums = new Map<ByteString, string>();
  readonly #rest = pace();

  constructor(root: string) {
    this.root = root;
  }

  async lstat(path: ByteString): Promise<TreeNode | undefined> {
    const stat = this.#stat(path);
    await this.#rest();
    return stat && { ...nodeOf(stat), linkPath: stat.type === 'symlink' ? await this.#target(path) : '' };
  }

  async list(path: ByteString): Promise<readonly ByteString[]> {
    const names = await readdir(this.#full(path), { encoding: 'buffer' });
    return names.map(byteString).sort();
  }

  async *read(path: ByteString): AsyncGenerator<Uint8Array> {
    await this.#rest();
    const small = this.#readSmall(path);
    if (small) yield small;
    else yield* createReadStream(this.#full(path), { highWaterMark: 1 << 18 });
  }

  /** A stream of a small file is many trips through the thread pool, and they are most of the time of a COPY of many. Undefined for larger ones. */
  #readSmall(path: ByteString): Buffer | undefined {
    const fd = openSync(this.#full(path), constants.O_RDONLY | constants.O_NOFOLLOW);
    try {
      const { size } = fstatSync(fd);
      if (size > smallFileBytes) return undefined;
      const content = Buffer.allocUnsafe(size);
      let filled = 0;
      for (let got = 1; got > 0 && filled < size; filled += got)
        got = readSync(fd, content, filled, size - filled, filled);
      return content.subarray(0, filled);
    } finally {
      closeSync(fd);
    }
  }

  async xattrs(path: ByteString): Promise<ReadonlyMap<ByteString, Uint8Array>> {
    const full = this.#full(path);
    const found = new Map<ByteString, Uint8Array>();
    for (const name of sys.llistxattr(full)) {
      if (name.startsWith('trusted.overlay.')) continue;
      const value = sys.lgetxattr(full, name);
      if (value) found.set(name, value);
    }
    return found;
  }

  async hash(path: ByteString): Promise<string> {
    const resolved = await resolvePath(this, path);
    let sum = this.#sums.get(resolved);
    if (sum === undefined) this.#sums.set(resolved, (sum = await this.#sum(resolved)));
    return sum;
  }

  contentHash(path: ByteString): Promise<string> {
    return this.hash(path);
  }

  async #sum(path: ByteString): Promise<string> {
    const node = await this.lstat(path);
    if (!node) return printable(path);
    const capability = sys.lgetxattr(this.#full(path), 'security.capability');
    const xattrs = new Map(capability ? [['security.capability', capability]] : []);
    const hash = startFileHash({ ...node, name: path + (node.type === 'directory' ? '/' : ''), xattrs });
    if (node.type === 'file') for await (const chunk of this.read(path)) hash.update(chunk);
    return hash.digest('hex');
  }

  #full(path: ByteString): Buffer {
    return Buffer.from(path === '' ? `${this.root}/` : `${this.root}/${path}`, 'latin1');
  }

  #stat(path: ByteString): (FullStat & { type: NodeType }) | undefined {
    try {
      const stat = sys.lstatIfPresent(this.#full(path));
      const type = stat && types.get(stat.mode & 0o170000);
      return type && { ...stat, type };
    } catch (error) {
      if (isErrno(error, 'ENAMETOOLONG')) return undefined;
      throw error;
    }
  }

  async #target(path: ByteString): Promise<ByteString> {
    return byteString(await readlink(this.#full(path), { encoding: 'buffer' }));
  }
}

function nodeOf(stat: FullStat & { type: NodeType }): Omit<TreeNode, 'linkPath'> {
  const isDevice = stat.type === 'char' || stat.type === 'block';
  return {
    type: stat.type,
    mode: stat.mode & 0o7777,
    uid: stat.uid,
    gid: stat.gid,
    sizeBytes: stat.type === 'file' ? stat.size : 0,
    mtime: stat.mtime,
    devMajor: isDevice ? stat.rdevMajor : 0,
    devMinor: isDevice ? stat.rdevMinor : 0,
    inode: stat.type !== 'directory' && stat.nlink > 1 ? `${stat.devMajor}:${stat.devMinor}:${stat.ino}` : undefined,
  };
}
