import { closeSync, constants, openSync, readdirSync, readlinkSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { endOfArchive, type PackEntry, packHeader, packPadding } from '#archive';
import { EngineError, isErrno } from '#errdefs';
import { type FullStat, resolveFlags, sys } from '#sys';
import { containerOwner, type IDMapping } from '../remap/index.ts';

const fileTypes = {
  [constants.S_IFREG]: 'file',
  [constants.S_IFDIR]: 'directory',
  [constants.S_IFLNK]: 'symlink',
  [constants.S_IFCHR]: 'char',
  [constants.S_IFBLK]: 'block',
  [constants.S_IFIFO]: 'fifo',
} as const;

/** How many entries are packed before the event loop gets its turn. */
const entriesPerTurn = 128;
const blockBytes = 1 << 20;

/**
 * A tree below a root as a tar: sorted, hardlinks kept, xattrs and nanosecond times, sockets left out. `rename` puts another name in the first
 * component's place, as `docker cp` wants it. Folders are opened one by one without following symlinks, so a tree that changes meanwhile cannot lead outside.
 */
export class TreeTar {
  readonly #rootFd: number;
  readonly #ids: IDMapping | undefined;
  /** Present when chunks are lent: what large files are read into, again and again. */
  readonly #block: Buffer | undefined;
  readonly #links = new Map<string, string>();
  #entries = 0;

  /**
   * `ids`: how the owners that are seen here are shown in the container, whose the archive's are. `lend`: a chunk holds until the next is asked for. New
   * memory for each would cost more than reading and sending it: V8 collects its garbage whenever much of it lies outside its heap.
   */
  constructor(rootFd: number, { ids, lend }: { ids?: IDMapping | undefined; lend?: boolean | undefined } = {}) {
    this.#rootFd = rootFd;
    this.#ids = ids;
    this.#block = lend ? Buffer.allocUnsafeSlow(blockBytes) : undefined;
  }

  async *pack(folder: string, name: string, shownName: string): AsyncGenerator<Uint8Array> {
    const folderFd = sys.openInRoot(
      this.#rootFd,
      folder,
      constants.O_RDONLY | constants.O_DIRECTORY,
      0,
      resolveFlags.inRoot,
    );
    try {
      yield* this.#entry(folderFd, name, shownName);
    } finally {
      closeSync(folderFd);
    }
    yield endOfArchive;
  }

  /** Everything in a folder, without the folder itself. */
  async *packChildren(folder: string): AsyncGenerator<Uint8Array> {
    const folderFd = sys.openInRoot(
      this.#rootFd,
      folder,
      constants.O_RDONLY | constants.O_DIRECTORY,
      0,
      resolveFlags.inRoot,
    );
    try {
      yield* this.#children(folderFd, '');
    } finally {
      closeSync(folderFd);
    }
    yield endOfArchive;
  }

  async *#children(folderFd: number, prefix: string): AsyncGenerator<Uint8Array> {
    const names = readdirSync(Buffer.from(`/proc/self/fd/${folderFd}`), { encoding: 'buffer' })
      .map((name) => name.toString('latin1'))
      .sort();
    for (const name of names) yield* this.#entry(folderFd, name, `${prefix}${name}`);
  }

  async *#entry(folderFd: number, name: string, shownName: string): AsyncGenerator<Uint8Array> {
    if (++this.#entries % entriesPerTurn === 0) await new Promise(setImmediate);
    const path = Buffer.from(`/proc/self/fd/${folderFd}/${name}`, 'latin1');
    const stat = lstatIfThere(path);
    const type = stat && fileTypes[(stat.mode & constants.S_IFMT) as keyof typeof fileTypes];
    if (!stat || !type) return;
    const linked = stat.nlink > 1 && type !== 'directory' ? this.#firstName(stat, shownName) : undefined;
    const base = { ...attributes(path, shownName, stat), ...(this.#ids && containerOwner(this.#ids, stat)) };
    if (linked !== undefined) yield packHeader({ ...base, type: 'hardlink', linkPath: linked });
    else if (type === 'file') yield* fileEntry(path, { ...base, type, sizeBytes: stat.size }, this.#block);
    else if (type === 'symlink') yield packHeader({ ...base, type, linkPath: readlinkSync(path, 'latin1') });
    else yield packHeader({ ...base, type });
    if (type === 'directory') yield* this.#folder(path, shownName);
  }

  async *#folder(path: Buffer, shownName: string): AsyncGenerator<Uint8Array> {
    const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
    try {
      yield* this.#children(fd, `${shownName}/`);
    } finally {
      closeSync(fd);
    }
  }

  #firstName(stat: FullStat, name: string): string | undefined {
    const key = `${stat.devMajor}:${stat.devMinor}:${stat.ino}`;
    const first = this.#links.get(key);
    if (first === undefined) this.#links.set(key, name);
    return first;
  }
}

function lstatIfThere(path: Buffer): FullStat | undefined {
  try {
    return sys.lstat(path);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}

function attributes(path: Buffer, name: string, stat: FullStat): Omit<PackEntry, 'type'> {
  const names = sys
    .llistxattr(path)
    .filter((attribute) => !attribute.startsWith('trusted.overlay.') && attribute !== 'security.selinux');
  const xattrs = names.flatMap((attribute) => {
    const value = sys.lgetxattr(path, attribute);
    return value === undefined ? [] : [[attribute, withoutRoot(attribute, value)] as const];
  });
  return {
    path: name,
    mode: stat.mode & 0o7777,
    uid: stat.uid,
    gid: stat.gid,
    mtime: stat.mtime,
    devMajor: stat.rdevMajor,
    devMinor: stat.rdevMinor,
    ...(xattrs.length > 0 ? { xattrs: new Map(xattrs) } : {}),
  };
}

const capabilityRevision3 = 3;
const revision2Bytes = 20;

/** File capabilities that name the root of a user namespace, which means nothing outside: capabilities(7), `VFS_CAP_REVISION_3`. */
function withoutRoot(attribute: string, value: Buffer): Buffer {
  if (attribute !== 'security.capability' || value[3] !== capabilityRevision3) return value;
  const revision2 = Buffer.from(value.subarray(0, revision2Bytes));
  revision2[3] = 2;
  return revision2;
}

/** Exactly the size announced: a file that grows is cut, one that shrinks meanwhile fails the archive. */
async function* fileEntry(
  path: Buffer,
  entry: PackEntry & { readonly sizeBytes: number },
  lent: Buffer | undefined,
): AsyncGenerator<Uint8Array> {
  const { sizeBytes } = entry;
  yield packHeader(entry);
  if (sizeBytes === 0) return;
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    for (let at = 0; at < sizeBytes; ) {
      const wanted = Math.min(blockBytes, sizeBytes - at);
      const block = wanted === blockBytes && lent ? lent : Buffer.allocUnsafe(wanted);
      const { bytesRead } = await file.read(block, 0, wanted, at);
      if (bytesRead === 0) {
        throw new EngineError('data-loss', `archive ${entry.path}: the file changed while it was read`);
      }
      at += bytesRead;
      // A short read is copied: who sends it may still hold a small chunk when it asks for the next.
      yield block === lent && bytesRead < wanted
        ? Buffer.from(block.subarray(0, bytesRead))
        : block.subarray(0, bytesRead);
    }
  } finally {
    await file.close();
  }
  yield packPadding(sizeBytes);
}
