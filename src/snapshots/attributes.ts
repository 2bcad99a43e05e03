import { chmodSync, lchownSync, readlinkSync } from 'node:fs';
import { type ByteString, byteString, bytesOf } from '#archive';
import { isErrno } from '#errdefs';
import { type FullStat, sys } from '#sys';
import type { Attributes, FileType } from './tree.ts';

const typeMask = 0o170000;
export const typeBits: Readonly<Record<FileType, number>> = {
  fifo: 0o010000,
  char: 0o020000,
  directory: 0o040000,
  block: 0o060000,
  file: 0o100000,
  symlink: 0o120000,
  socket: 0o140000,
};
const typesByBits = new Map(Object.entries(typeBits).map(([type, bits]) => [bits, type as FileType]));

/** Notes of overlayfs: no attributes that a layer carries, since by some of them it would be told to look elsewhere. */
export const overlayPrefix = 'trusted.overlay.';

export function typeOfStat(stat: FullStat): FileType {
  return typesByBits.get(stat.mode & typeMask)!;
}

export function statOf(path: ByteString): FullStat | undefined {
  return sys.lstatIfPresent(bytesOf(path));
}

/** What is at `path`, extended attributes included. @throws a system error when it vanished. */
export function readAttributes(path: ByteString, stat: FullStat = sys.lstat(bytesOf(path))): Attributes {
  const type = typeOfStat(stat);
  return {
    type,
    mode: stat.mode & 0o7777,
    uid: stat.uid,
    gid: stat.gid,
    mtime: stat.mtime,
    devMajor: type === 'char' || type === 'block' ? stat.rdevMajor : 0,
    devMinor: type === 'char' || type === 'block' ? stat.rdevMinor : 0,
    linkPath: type === 'symlink' ? byteString(readlinkSync(bytesOf(path), 'buffer')) : '',
    sizeBytes: type === 'file' ? stat.size : 0,
    xattrs: readXattrs(path),
  };
}

/** Extended attributes by name, sorted, without those that are overlayfs's. */
export function readXattrs(path: ByteString): Map<ByteString, Uint8Array> {
  const found = new Map<ByteString, Uint8Array>();
  const bytes = bytesOf(path);
  for (const name of listXattrs(bytes).sort()) {
    if (name.startsWith(overlayPrefix)) continue;
    const value = sys.lgetxattr(bytes, name);
    if (value !== undefined) found.set(name, value);
  }
  return found;
}

function listXattrs(path: Buffer): ByteString[] {
  try {
    return sys.llistxattr(path);
  } catch (error) {
    if (isErrno(error, 'ENOTSUP') || isErrno(error, 'EOPNOTSUPP')) return [];
    throw error;
  }
}

/**
 * Gives an existing file its owner, mode, extended attributes and times. The owner comes first: a change of owner clears
 * set-id bits and capabilities. An attribute that the filesystem cannot hold is left out, as Docker does.
 */
export function writeAttributes(path: ByteString, attributes: Attributes): void {
  const bytes = bytesOf(path);
  lchownSync(bytes, attributes.uid, attributes.gid);
  if (attributes.type !== 'symlink') chmodSync(bytes, attributes.mode);
  for (const [name, value] of attributes.xattrs) writeXattr(bytes, name, value);
  sys.lutimes(bytes, attributes.mtime, attributes.mtime);
}

function writeXattr(path: Buffer, name: ByteString, value: Uint8Array): void {
  try {
    sys.lsetxattr(path, name, value);
  } catch (error) {
    const unsupported = ['ENOTSUP', 'EOPNOTSUPP', 'EPERM'].some((code) => isErrno(error, code));
    if (!unsupported) throw error;
  }
}

/** Removes extended attributes that `attributes` does not name; for files that existed before. */
export function dropOtherXattrs(path: ByteString, attributes: Attributes): void {
  for (const name of readXattrs(path).keys()) {
    if (!attributes.xattrs.has(name)) sys.lremovexattr(bytesOf(path), name);
  }
}
