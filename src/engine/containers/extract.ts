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
  rmSync,
  symlinkSync,
  writeSync,
} from 'node:fs';
import { posix } from 'node:path';
import { decompress, readTar, type TarEntry, type TarItem } from '#archive';
import { EngineError, isErrno } from '#errdefs';
import { resolveFlags, sys } from '#sys';

export interface ExtractOptions {
  /** A folder may not take a file's place, nor the reverse. */
  readonly noOverwriteDirNonDir?: boolean;
  /** Keep the archive's owners; otherwise everything is root's. */
  readonly copyUIDGID?: boolean;
  readonly signal?: AbortSignal | undefined;
}

const typeBits = { char: constants.S_IFCHR, block: constants.S_IFBLK, fifo: constants.S_IFIFO } as const;

/**
 * Extracts a tar (plain or compressed) below `folder` of a root. Parents are resolved by the kernel inside the root, symlinks included; the last
 * component of each entry is replaced, never followed.
 * @throws `invalid-argument` for what is no archive or names a way out.
 */
export async function extractInto(
  rootFd: number,
  folder: string,
  archive: AsyncIterable<Uint8Array>,
  options: ExtractOptions = {},
): Promise<void> {
  const times: { path: string; entry: TarEntry }[] = [];
  for await (const item of readTar(decompress(archive))) {
    options.signal?.throwIfAborted();
    await extractEntry(rootFd, folder, item, options);
    if (item.type === 'directory') times.push({ path: item.path, entry: item });
  }
  for (const { path, entry } of times.reverse()) {
    withParent(rootFd, folder, path, (target) => sys.lutimes(target, entry.mtime, entry.mtime));
  }
}

async function extractEntry(rootFd: number, folder: string, item: TarItem, options: ExtractOptions): Promise<void> {
  const entry = item;
  const name = posix.join('/', entry.path).replace(/(?<=.)\/$/, '');
  if (name === '/') return;
  const parentFd = openParent(rootFd, posix.join(folder, posix.dirname(name)));
  try {
    const target = Buffer.from(`/proc/self/fd/${parentFd}/${posix.basename(name)}`, 'latin1');
    clearWay(target, entry, options);
    await create(rootFd, folder, target, item);
    applyAttributes(target, entry, options);
  } finally {
    closeSync(parentFd);
  }
}

/** The folder an entry goes into, made where it is missing. */
function openParent(rootFd: number, path: string): number {
  const flags = constants.O_RDONLY | constants.O_DIRECTORY;
  try {
    return sys.openInRoot(rootFd, Buffer.from(path, 'latin1'), flags, 0, resolveFlags.inRoot);
  } catch (error) {
    if (!isErrno(error, 'ENOENT') || path === '/') throw error;
    const fd = openParent(rootFd, posix.dirname(path));
    try {
      mkdirSync(Buffer.from(`/proc/self/fd/${fd}/${posix.basename(path)}`, 'latin1'), { mode: 0o755 });
    } finally {
      closeSync(fd);
    }
    return sys.openInRoot(rootFd, Buffer.from(path, 'latin1'), flags, 0, resolveFlags.inRoot);
  }
}

function withParent(rootFd: number, folder: string, path: string, use: (target: Buffer) => void): void {
  const name = posix.join('/', path).replace(/(?<=.)\/$/, '');
  const fd = openParent(rootFd, posix.join(folder, posix.dirname(name)));
  try {
    use(Buffer.from(`/proc/self/fd/${fd}/${posix.basename(name)}`, 'latin1'));
  } finally {
    closeSync(fd);
  }
}

/** Removes what is in the entry's place, but keeps a folder for a folder. */
function clearWay(target: Buffer, entry: TarEntry, options: ExtractOptions): void {
  let mode: number;
  try {
    mode = sys.lstat(target).mode;
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return;
    throw error;
  }
  const isFolder = (mode & constants.S_IFMT) === constants.S_IFDIR;
  const becomesFolder = entry.type === 'directory';
  if (isFolder && becomesFolder) return;
  if (options.noOverwriteDirNonDir && isFolder !== becomesFolder) {
    throw new EngineError(
      'invalid-argument',
      isFolder
        ? `cannot overwrite directory "/${entry.path}" with non-directory`
        : `cannot overwrite non-directory "/${entry.path}" with directory`,
    );
  }
  rmSync(target, { recursive: true, force: true });
}

async function create(rootFd: number, folder: string, target: Buffer, item: TarItem): Promise<void> {
  const entry = item;
  switch (entry.type) {
    case 'directory':
      makeFolder(target);
      return;
    case 'symlink':
      symlinkSync(Buffer.from(entry.linkPath, 'latin1'), target);
      return;
    case 'hardlink':
      withParent(rootFd, folder, entry.linkPath, (existing) => linkSync(existing, target));
      return;
    case 'file':
      await writeFile(target, item);
      return;
    case 'char':
    case 'block':
    case 'fifo':
      sys.mknod(target, typeBits[entry.type] | (entry.mode & 0o7777), entry.devMajor, entry.devMinor);
      return;
    default:
      entry.type satisfies never;
  }
}

function makeFolder(target: Buffer): void {
  try {
    mkdirSync(target, { mode: 0o755 });
  } catch (error) {
    if (!isErrno(error, 'EEXIST')) throw error;
  }
}

async function writeFile(target: Buffer, item: TarItem): Promise<void> {
  const fd = openSync(target, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o600);
  try {
    for await (const chunk of item.body) for (let at = 0; at < chunk.byteLength; ) at += writeSync(fd, chunk, at);
    fchownSync(fd, 0, 0);
    fchmodSync(fd, item.mode & 0o7777);
  } finally {
    closeSync(fd);
  }
}

function applyAttributes(target: Buffer, entry: TarEntry, options: ExtractOptions): void {
  if (entry.type === 'hardlink') return;
  lchownSync(target, options.copyUIDGID ? entry.uid : 0, options.copyUIDGID ? entry.gid : 0);
  if (entry.type !== 'symlink') chmodSync(target, entry.mode & 0o7777);
  for (const [name, value] of entry.xattrs) sys.lsetxattr(target, name, value);
  sys.lutimes(target, entry.mtime, entry.mtime);
}
