import {
  chmodSync,
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  lchownSync,
  linkSync,
  mkdirSync,
  openSync,
  symlinkSync,
  writeSync,
} from 'node:fs';
import { posix } from 'node:path';
import { decompress, readTar, type TarEntry, type TarItem } from '#archive';
import { EngineError, isErrno } from '#errdefs';
import { resolveFlags, sys } from '#sys';
import { hostOwner, type IDMapping, rootOf } from '../remap/index.ts';
import { removeBelow } from './remove-below.ts';

export interface ExtractOptions {
  /** A folder may not take a file's place, nor the reverse. */
  readonly noOverwriteDirNonDir?: boolean;
  /** Keep the archive's owners; otherwise everything is root's. */
  readonly copyUIDGID?: boolean;
  /** How the archive's owners, who are the container's, are shown here. */
  readonly ids?: IDMapping | undefined;
  readonly signal?: AbortSignal | undefined;
}

const typeBits = { char: constants.S_IFCHR, block: constants.S_IFBLK, fifo: constants.S_IFIFO } as const;
const O_PATH = 0o10000000;

/**
 * Extracts a tar (plain or compressed) below `folder` of a root. Parents are resolved by the kernel inside the root, symlinks included; the last
 * component of each entry is replaced, never followed: not even by a change of mode, for which a container may have put a symlink in its place meanwhile
 * (CVE-2018-15664).
 * @throws `invalid-argument` for what is no archive or names a way out.
 */
export async function extractInto(
  rootFd: number,
  folder: string,
  archive: AsyncIterable<Uint8Array>,
  options: ExtractOptions = {},
): Promise<void> {
  using extraction = new Extraction(rootFd, folder, options);
  for await (const item of readTar(decompress(archive))) {
    options.signal?.throwIfAborted();
    await extraction.add(item);
  }
  extraction.finish();
}

/** Where an entry goes: a name in an open folder. */
interface Place {
  readonly folderFd: number;
  readonly name: string;
  readonly path: Buffer;
}

class Extraction implements Disposable {
  readonly #rootFd: number;
  readonly #folder: string;
  readonly #options: ExtractOptions;
  readonly #folders: TarEntry[] = [];
  /** Archives have what is in one folder together: its descriptor is kept from entry to entry. */
  #open: { readonly path: string; readonly fd: number } | undefined;

  constructor(rootFd: number, folder: string, options: ExtractOptions) {
    this.#rootFd = rootFd;
    this.#folder = folder;
    this.#options = options;
  }

  async add(item: TarItem): Promise<void> {
    const place = this.#place(item.path);
    if (!place) return;
    switch (item.type) {
      case 'directory':
        this.#addFolder(place, item);
        return;
      case 'file':
        await this.#addFile(place, item);
        return;
      case 'symlink':
        this.#create(place, item, () => symlinkSync(Buffer.from(item.linkPath, 'latin1'), place.path));
        this.#setOwner(place, item);
        break;
      case 'hardlink':
        this.#addHardlink(place, item);
        return;
      case 'char':
      case 'block':
      case 'fifo': {
        const mode = typeBits[item.type] | (item.mode & 0o7777);
        this.#create(place, item, () => sys.mknod(place.path, mode, item.devMajor, item.devMinor));
        this.#setOwner(place, item);
        setMode(place, item.mode);
        break;
      }
      default:
        item.type satisfies never;
    }
    setTimesAndAttributes(place, item);
  }

  /** Folders get their times when nothing more is put into them. */
  finish(): void {
    for (const entry of this.#folders.reverse()) {
      const place = this.#place(entry.path);
      if (place) sys.lutimes(place.path, entry.mtime, entry.mtime);
    }
  }

  [Symbol.dispose](): void {
    this.#closeFolder();
  }

  #place(path: string): Place | undefined {
    const name = cleanName(path);
    if (name === '/') return undefined;
    const folderFd = this.#openFolder(posix.join(this.#folder, posix.dirname(name)));
    return placeIn(folderFd, posix.basename(name));
  }

  #openFolder(path: string): number {
    if (this.#open?.path === path) return this.#open.fd;
    this.#closeFolder();
    const fd = openFolder(this.#rootFd, path, this.#options.ids);
    this.#open = { path, fd };
    return fd;
  }

  #closeFolder(): void {
    if (this.#open) closeSync(this.#open.fd);
    this.#open = undefined;
  }

  #addFolder(place: Place, entry: TarEntry): void {
    try {
      mkdirSync(place.path, { mode: 0o700 });
    } catch (error) {
      if (!isErrno(error, 'EEXIST')) throw error;
      if (!isFolder(place)) this.#replace(place, entry, () => mkdirSync(place.path, { mode: 0o700 }));
    }
    const fd = openSync(place.path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
    try {
      const { uid, gid } = this.#owner(entry);
      fchownSync(fd, uid, gid);
      fchmodSync(fd, entry.mode & 0o7777);
    } finally {
      closeSync(fd);
    }
    setTimesAndAttributes(place, entry);
    this.#folders.push(entry);
  }

  async #addFile(place: Place, item: TarItem): Promise<void> {
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
    const fd = this.#create(place, item, () => openSync(place.path, flags, 0o600));
    try {
      for await (const chunk of item.body) for (let at = 0; at < chunk.byteLength; ) at += writeSync(fd, chunk, at);
      const { uid, gid } = this.#owner(item);
      if (uid !== 0 || gid !== 0) fchownSync(fd, uid, gid);
      fchmodSync(fd, item.mode & 0o7777);
    } finally {
      closeSync(fd);
    }
    setTimesAndAttributes(place, item);
  }

  #addHardlink(place: Place, entry: TarEntry): void {
    const name = cleanName(entry.linkPath);
    const folder = posix.join(this.#folder, posix.dirname(name));
    const existingFd = openFolder(this.#rootFd, folder, this.#options.ids);
    try {
      const existing = placeIn(existingFd, posix.basename(name));
      this.#create(place, entry, () => linkSync(existing.path, place.path));
    } finally {
      closeSync(existingFd);
    }
  }

  /** Most places are free: what stands in one is looked at only when it is in the way. */
  #create<T>(place: Place, entry: TarEntry, make: () => T): T {
    try {
      return make();
    } catch (error) {
      if (!isErrno(error, 'EEXIST')) throw error;
      return this.#replace(place, entry, make);
    }
  }

  #replace<T>(place: Place, entry: TarEntry, make: () => T): T {
    const standsFolder = isFolder(place);
    if (this.#options.noOverwriteDirNonDir && standsFolder !== (entry.type === 'directory')) {
      throw new EngineError(
        'invalid-argument',
        standsFolder
          ? `cannot overwrite directory "/${entry.path}" with non-directory`
          : `cannot overwrite non-directory "/${entry.path}" with directory`,
      );
    }
    removeBelow(place.folderFd, place.name);
    return make();
  }

  #owner(entry: TarEntry): { uid: number; gid: number } {
    const { copyUIDGID, ids } = this.#options;
    const owner = copyUIDGID ? entry : { uid: 0, gid: 0 };
    return ids ? hostOwner(ids, owner) : owner;
  }

  #setOwner(place: Place, entry: TarEntry): void {
    const { uid, gid } = this.#owner(entry);
    if (uid !== 0 || gid !== 0) lchownSync(place.path, uid, gid);
  }
}

function cleanName(path: string): string {
  return posix.join('/', path).replace(/(?<=.)\/$/, '');
}

function placeIn(folderFd: number, name: string): Place {
  return { folderFd, name, path: Buffer.from(`/proc/self/fd/${folderFd}/${name}`, 'latin1') };
}

/** The folder at a path of bytes below a root, made where it is missing; the caller closes it. */
export function openFolder(rootFd: number, path: string, ids: IDMapping | undefined): number {
  const flags = constants.O_RDONLY | constants.O_DIRECTORY;
  try {
    return sys.openInRoot(rootFd, Buffer.from(path, 'latin1'), flags, 0, resolveFlags.inRoot);
  } catch (error) {
    if (!isErrno(error, 'ENOENT') || path === '/') throw error;
    const fd = openFolder(rootFd, posix.dirname(path), ids);
    try {
      const made = placeIn(fd, posix.basename(path)).path;
      mkdirSync(made, { mode: 0o755 });
      if (ids) lchownSync(made, rootOf(ids).uid, rootOf(ids).gid);
    } finally {
      closeSync(fd);
    }
    return sys.openInRoot(rootFd, Buffer.from(path, 'latin1'), flags, 0, resolveFlags.inRoot);
  }
}

function isFolder(place: Place): boolean {
  return (sys.lstat(place.path).mode & constants.S_IFMT) === constants.S_IFDIR;
}

/** Of what is there, by a descriptor that follows nothing. */
function setMode(place: Place, mode: number): void {
  const fd = openSync(place.path, O_PATH | constants.O_NOFOLLOW);
  try {
    chmodSync(`/proc/self/fd/${fd}`, mode & 0o7777);
  } finally {
    closeSync(fd);
  }
}

function setTimesAndAttributes(place: Place, entry: TarEntry): void {
  for (const [name, value] of entry.xattrs) sys.lsetxattr(place.path, name, value);
  sys.lutimes(place.path, entry.mtime, entry.mtime);
}
