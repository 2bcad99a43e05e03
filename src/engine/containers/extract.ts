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
} from 'node:fs';
import { posix } from 'node:path';
import { decompress, type TarEntry, type TarHandler, TarParser } from '#archive';
import { EngineError, isErrno } from '#errdefs';
import { resolveFlags, sys } from '#sys';
import { hostOwner, type IDMapping, rootOf } from '../remap/index.ts';
import { PartialFile } from './partial-file.ts';
import { removeBelow } from './remove-below.ts';

export interface ExtractOptions {
  /** A folder may not take a file's place, nor the reverse. */
  readonly noOverwriteDirNonDir?: boolean;
  /** Whose everything becomes, as the container counts; otherwise the archive's owners stay. */
  readonly owner?: { readonly uid: number; readonly gid: number } | undefined;
  /** How the archive's owners, who are the container's, are shown here. */
  readonly ids?: IDMapping | undefined;
  /** The archive's chunks are lent, each until the next is asked for. */
  readonly lent?: boolean;
  readonly signal?: AbortSignal | undefined;
}

const typeBits = { char: constants.S_IFCHR, block: constants.S_IFBLK, fifo: constants.S_IFIFO } as const;
const O_PATH = 0o10000000;
const noBytes = new Uint8Array();
/** Written at a time: small enough to stay in a processor's cache. */
const blockBytes = 256 << 10;
/** No entry's path starts with it: a NUL ends a name. */
const noPrefix = '\0';

/**
 * Extracts a tar (plain or compressed) below `folder` of a root, whose name is bytes as those of an archive are. Parents are resolved by the kernel inside the root, symlinks included; the last
 * component of each entry is replaced, never followed: not even by a change of mode, for which a container may have put a symlink in its place meanwhile
 * (CVE-2018-15664).
 * Everything is done where the parser finds it, without a queue between: what one chunk holds is in place before the next is asked for.
 * @throws `invalid-argument` for what is no archive or names a way out.
 */
export async function extractInto(
  rootFd: number,
  folder: string,
  archive: AsyncIterable<Uint8Array>,
  options: ExtractOptions = {},
): Promise<void> {
  using extraction = new Extraction(rootFd, folder, options);
  const parser = new TarParser(extraction);
  for await (const chunk of decompress(archive, { lent: options.lent ?? false })) {
    options.signal?.throwIfAborted();
    parser.write(chunk);
  }
  parser.end();
  extraction.finish();
}

class Extraction implements TarHandler, Disposable {
  readonly #rootFd: number;
  readonly #folder: string;
  readonly #options: ExtractOptions;
  readonly #folders: TarEntry[] = [];
  /** Archives have what is in one folder together: its descriptor is kept from entry to entry. `prefix` is how the last of them wrote it. */
  #open: { readonly path: string; readonly fd: number; prefix: string } | undefined;
  /** The file whose data comes next. It is made when its first data is there: most come whole. */
  #next: { readonly place: Place; readonly entry: TarEntry } | undefined;
  #partial: PartialFile | undefined;
  #block: Buffer | undefined;

  constructor(rootFd: number, folder: string, options: ExtractOptions) {
    this.#rootFd = rootFd;
    this.#folder = folder;
    this.#options = options;
  }

  entry(item: TarEntry): void {
    this.#next = undefined;
    const place = this.#place(item.path);
    if (!place) return;
    switch (item.type) {
      case 'directory':
        this.#addFolder(place, item);
        return;
      case 'file':
        if (item.storedBytes > 0) this.#next = { place, entry: item };
        else if (item.sparse) this.#startFile(place, item).finish();
        else this.#addWholeFile(place, item, noBytes);
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

  data(bytes: Buffer, storedOffset: number): void {
    if (!this.#next) return;
    const { place, entry } = this.#next;
    if (bytes.length === entry.storedBytes && !entry.sparse) {
      this.#addWholeFile(place, entry, bytes);
      return;
    }
    const file = (this.#partial ??= this.#startFile(place, entry));
    file.write(bytes, storedOffset);
    if (storedOffset + bytes.length < entry.storedBytes) return;
    this.#partial = undefined;
    file.finish();
  }

  /** Folders get their times when nothing more is put into them. */
  finish(): void {
    for (const entry of this.#folders.reverse()) {
      const place = this.#place(entry.path);
      if (place) sys.lutimes(place.path, entry.mtime, entry.mtime);
    }
  }

  [Symbol.dispose](): void {
    this.#partial?.close();
    this.#closeFolder();
  }

  #place(path: string): Place | undefined {
    const cut = path.lastIndexOf('/') + 1;
    const prefix = path.slice(0, cut);
    const last = path.slice(cut);
    if (this.#open?.prefix === prefix && last !== '' && last !== '.' && last !== '..') {
      return new Place(this.#open.fd, last);
    }
    const name = cleanName(path);
    if (name === '/') return undefined;
    const open = this.#openFolder(posix.join(this.#folder, posix.dirname(name)));
    // Only where cleaning left the last component as it was does the prefix alone say which folder it is in.
    open.prefix = posix.basename(name) === last ? prefix : noPrefix;
    return new Place(open.fd, posix.basename(name));
  }

  #openFolder(path: string): { readonly fd: number; prefix: string } {
    if (this.#open?.path === path) return this.#open;
    this.#closeFolder();
    this.#open = { path, fd: openFolder(this.#rootFd, path, this.#options.ids), prefix: noPrefix };
    return this.#open;
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

  #addWholeFile(place: Place, entry: TarEntry, data: Uint8Array): void {
    const { uid, gid } = this.#owner(entry);
    const { mode, mtime } = entry;
    this.#create(place, entry, () => sys.writeNewFile(place.folderFd, place.name, data, uid, gid, mode, mtime));
    setAttributes(place, entry);
  }

  #startFile(place: Place, entry: TarEntry): PartialFile {
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
    const fd = this.#create(place, entry, () => openSync(place.path, flags, 0o600));
    this.#block ??= Buffer.allocUnsafeSlow(blockBytes);
    return new PartialFile(fd, this.#block, entry, this.#owner(entry), () => setTimesAndAttributes(place, entry));
  }

  #addHardlink(place: Place, entry: TarEntry): void {
    const name = cleanName(entry.linkPath);
    const folder = posix.join(this.#folder, posix.dirname(name));
    const existingFd = openFolder(this.#rootFd, folder, this.#options.ids);
    try {
      const existing = new Place(existingFd, posix.basename(name));
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
    try {
      removeBelow(place.folderFd, place.name);
    } catch (cause) {
      // Something is mounted there.
      if (!isErrno(cause, 'EBUSY')) throw cause;
      throw new EngineError('internal', `RemoveAll ${entry.path}: device or resource busy`, { cause });
    }
    return make();
  }

  #owner(entry: TarEntry): { uid: number; gid: number } {
    const { owner = entry, ids } = this.#options;
    return ids ? hostOwner(ids, owner) : owner;
  }

  #setOwner(place: Place, entry: TarEntry): void {
    const { uid, gid } = this.#owner(entry);
    lchownSync(place.path, uid, gid);
  }
}

function cleanName(path: string): string {
  return posix.join('/', path).replace(/(?<=.)\/$/, '');
}

/** Where an entry goes: a name in an open folder. */
class Place {
  readonly folderFd: number;
  readonly name: string;

  constructor(folderFd: number, name: string) {
    this.folderFd = folderFd;
    this.name = name;
  }

  get path(): Buffer {
    return Buffer.from(`/proc/self/fd/${this.folderFd}/${this.name}`, 'latin1');
  }
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
      const made = new Place(fd, posix.basename(path)).path;
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

function setAttributes(place: Place, entry: TarEntry): void {
  for (const [name, value] of entry.xattrs) sys.lsetxattr(place.path, name, value);
}

function setTimesAndAttributes(place: Place, entry: TarEntry): void {
  setAttributes(place, entry);
  sys.lutimes(place.path, entry.mtime, entry.mtime);
}
