import { createHash, type Hash } from 'node:crypto';
import type { ByteString } from '#archive';

/** The header fields that Docker's tarsum (version 1) takes up, mtime not among them. */
export interface HashedHeader {
  /** With a closing slash for directories. */
  readonly name: ByteString;
  readonly type: 'file' | 'hardlink' | 'symlink' | 'char' | 'block' | 'directory' | 'fifo';
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly sizeBytes: number;
  readonly linkPath: ByteString;
  readonly devMajor: number;
  readonly devMinor: number;
  readonly xattrs: ReadonlyMap<ByteString, Uint8Array>;
}

const flags = { file: '0', hardlink: '1', symlink: '2', char: '3', block: '4', directory: '5', fifo: '6' } as const;

/** A hash that has taken the header; the content follows. Its hex digest is what history shows behind `file:`. */
export function startFileHash(header: HashedHeader): Hash {
  const hash = createHash('sha256');
  const size = header.type === 'file' ? header.sizeBytes : 0;
  const owner = `uid${header.uid}gid${header.gid}`;
  const device = `devmajor${header.devMajor}devminor${header.devMinor}`;
  hash.update(
    `name${header.name}mode${header.mode}${owner}size${size}typeflag${flags[header.type]}linkname${header.linkPath}unamegname${device}`,
    'latin1',
  );
  if (header.xattrs.size === 0) return hash;
  for (const name of [...header.xattrs.keys()].sort()) {
    hash.update(name, 'latin1').update(header.xattrs.get(name)!);
  }
  return hash;
}

/** Docker's digest of several: `dir:…` over file hashes, `multi:…` over sources. */
export function hashList(prefix: 'dir' | 'multi', hashes: readonly string[]): string {
  return `${prefix}:${createHash('sha256').update(hashes.join(','), 'latin1').digest('hex')}`;
}
