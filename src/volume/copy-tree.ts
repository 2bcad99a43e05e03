/** Copies a tree with everything that belongs to its files. Synchronous: run in a worker. */
import {
  chmodSync,
  constants,
  copyFileSync,
  lchownSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  symlinkSync,
} from 'node:fs';
import { EngineError, isErrno } from '#errdefs';
import { type FullStat, sys } from '#sys';

const typeMask = 0o170000;
const folderType = 0o040000;
const fileType = 0o100000;
const linkType = 0o120000;
const socketType = 0o140000;

/** Where a file with several names was copied to first. */
type Links = Map<string, Buffer>;

export function isFolder(stat: FullStat): boolean {
  return (stat.mode & typeMask) === folderType;
}

/** Copies what is in `from` into the existing folder `to`, then gives `to` the attributes of `from`. Symbolic links are copied, never followed. */
export function copyTree(from: string, to: string): void {
  const stat = sys.lstat(from);
  if (!isFolder(stat)) throw new EngineError('invalid-argument', `copy ${from}: not a directory`);
  copyEntries(Buffer.from(from), Buffer.from(to), new Map());
  copyAttributes(Buffer.from(from), Buffer.from(to), stat);
}

function copyEntries(from: Buffer, to: Buffer, links: Links): void {
  for (const name of readdirSync(from, { encoding: 'buffer' })) {
    copyEntry(child(from, name), child(to, name), links);
  }
}

function copyEntry(from: Buffer, to: Buffer, links: Links): void {
  const stat = sys.lstat(from);
  const type = stat.mode & typeMask;
  // A socket is nothing without the process that listens: left out, as Docker does.
  if (type === socketType) return;
  if (type !== folderType && stat.nlink > 1 && linkToFirst(stat, to, links)) return;
  if (type === folderType) {
    mkdirSync(to, { mode: 0o700 });
    copyEntries(from, to, links);
  } else if (type === linkType) symlinkSync(readlinkSync(from, { encoding: 'buffer' }), to);
  else if (type === fileType) copyFileSync(from, to, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
  else sys.mknod(to, stat.mode, stat.rdevMajor, stat.rdevMinor);
  copyAttributes(from, to, stat);
}

function linkToFirst(stat: FullStat, to: Buffer, links: Links): boolean {
  const key = `${stat.devMajor}:${stat.devMinor}:${stat.ino}`;
  const first = links.get(key);
  if (first) linkSync(first, to);
  else links.set(key, to);
  return first !== undefined;
}

/** The owner first, since a change of owner clears set-ID bits and capabilities; the times last. */
export function copyAttributes(from: Buffer, to: Buffer, stat: FullStat): void {
  lchownSync(to, stat.uid, stat.gid);
  if ((stat.mode & typeMask) !== linkType) chmodSync(to, stat.mode & 0o7777);
  for (const name of sys.llistxattr(from)) copyAttribute(from, to, name);
  sys.lutimes(to, stat.atime, stat.mtime);
}

function copyAttribute(from: Buffer, to: Buffer, name: string): void {
  const value = sys.lgetxattr(from, name);
  if (value === undefined) return;
  try {
    sys.lsetxattr(to, name, value);
  } catch (error) {
    // The volume's file system has no such attributes.
    if (!isErrno(error, 'ENOTSUP') && !isErrno(error, 'EOPNOTSUPP')) throw error;
  }
}

function child(folder: Buffer, name: Buffer): Buffer {
  return Buffer.concat([folder, Buffer.from('/'), name]);
}
