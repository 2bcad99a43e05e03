import {
  closeSync,
  ftruncateSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmdirSync,
  symlinkSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { type ByteString, byteString, bytesOf } from '#archive';
import type { StoredBlob } from '#content';
import { EngineError, messageOf } from '#errdefs';
import { sys } from '#sys';
import { statOf, typeBits, typeOfStat, writeAttributes } from './attributes.ts';
import { copyData } from './file-data.ts';
import { withFile } from './layer-file.ts';
import { shown } from './names.ts';
import type { Attributes, Inode } from './tree.ts';

/** Attributes of a folder that neither its layer nor the chain below describes. */
export const defaultFolder: Attributes = {
  type: 'directory',
  mode: 0o755,
  uid: 0,
  gid: 0,
  mtime: { sec: 0, nsec: 0 },
  devMajor: 0,
  devMinor: 0,
  linkPath: '',
  sizeBytes: 0,
  xattrs: new Map(),
};

/** Makes one file that was not there, with its attributes; `writeData` fills a regular one. Folders are made bare: see {@link writeAttributes}. */
export function createFile(path: ByteString, attributes: Attributes, writeData: (fd: number) => void): void {
  const bytes = bytesOf(path);
  const { type, mode, devMajor, devMinor, linkPath } = attributes;
  if (type === 'file') createRegular(bytes, attributes.sizeBytes, writeData);
  else if (type === 'symlink') symlinkSync(bytesOf(linkPath), bytes);
  else if (type === 'directory') mkdirSync(bytes, 0o700);
  else sys.mknod(bytes, typeBits[type] | mode, devMajor, devMinor);
  if (type !== 'directory') writeAttributes(path, attributes);
}

function createRegular(path: Buffer, sizeBytes: number, writeData: (fd: number) => void): void {
  const fd = openSync(path, 'wx', 0o600);
  try {
    if (sizeBytes > 0) {
      writeData(fd);
      ftruncateSync(fd, sizeBytes);
    }
  } finally {
    closeSync(fd);
  }
}

/** Fills a file with an entry's data; what lies between the segments stays a hole. */
export function tarData(inode: Extract<Inode, { from: 'tar' }>, tar: StoredBlob | undefined): (fd: number) => void {
  return (fd) => {
    for (const { offset, lengthBytes, storedOffset } of inode.data) {
      tar!.copy(inode.dataOffset + storedOffset, lengthBytes, (part, done) => {
        if ('fd' in part) copyData(part, { fd, offset: offset + done }, part.lengthBytes);
        else writeAt(fd, part, offset + done);
      });
    }
  };
}

function writeAt(fd: number, bytes: Buffer, offset: number): void {
  for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done, bytes.length - done, offset + done);
}

export function fileData(source: ByteString, sizeBytes: number): (fd: number) => void {
  return (fd) => withFile(bytesOf(source), (from) => copyData({ fd: from, offset: 0 }, { fd, offset: 0 }, sizeBytes));
}

export function linkFile(existing: ByteString, path: ByteString): void {
  linkSync(bytesOf(existing), bytesOf(path));
}

/** Removes a file or a whole folder without following symlinks; absent is fine. Blocking. */
export function removeTree(path: ByteString): void {
  const stat = statOf(path);
  if (stat === undefined) return;
  if (typeOfStat(stat) === 'directory') removeFolder(path);
  else unlinkSync(bytesOf(path));
}

/** The folder says what is one itself: asking for each file would take as long as removing it. */
function removeFolder(path: ByteString): void {
  for (const entry of readdirSync(bytesOf(path), { withFileTypes: true, encoding: 'buffer' })) {
    const place = `${path}/${byteString(entry.name)}`;
    if (entry.isDirectory()) removeFolder(place);
    else unlinkSync(bytesOf(place));
  }
  rmdirSync(bytesOf(path));
}

/** What the kernel answers when a layer asks for what no filesystem can hold. */
const layerFaults = new Set([
  ...['ENAMETOOLONG', 'ENOENT', 'ENOTDIR', 'EEXIST', 'EISDIR', 'ELOOP', 'EINVAL', 'ERANGE', 'E2BIG', 'EFBIG'],
  ...['EOVERFLOW', 'EMLINK', 'ERR_OUT_OF_RANGE'],
]);

/** Runs one step of applying a layer; a fault of the layer becomes `invalid-argument`, one of the machine `internal`. */
export function applying(path: ByteString, step: () => void): void {
  try {
    step();
  } catch (error) {
    if (error instanceof EngineError) throw error;
    const isFault = error instanceof Error && layerFaults.has((error as NodeJS.ErrnoException).code ?? '');
    throw new EngineError(
      isFault ? 'invalid-argument' : 'internal',
      `apply layer: ${shown(path)}: ${messageOf(error)}`,
      { cause: error },
    );
  }
}
