import { readdirSync } from 'node:fs';
import { type ByteString, byteString, bytesOf } from '#archive';
import { isErrno } from '#errdefs';
import { type FullStat, sys } from '#sys';
import { statOf, typeBits, typeOfStat } from './attributes.ts';
import { opaqueName, whiteoutPrefix } from './names.ts';

/**
 * How folders of a stack tell what they remove. `kernel`: as overlayfs does, removed names are devices 0/0 and opaque folders have an attribute. `fuse`: so
 * too, or by files beside (`.wh.NAME`, `.wh..wh..opq`), as fuse-overlayfs does where it may make no such device, on another overlay say.
 */
export type Marks = 'kernel' | 'fuse';

const opaqueAttribute = 'trusted.overlay.opaque';

/** Names by which fuse-overlayfs marks an opaque folder, beside the attribute or in its place. Nothing in a layer can have them. */
const opaqueFiles: ReadonlySet<string> = new Set(['.wh..opq', opaqueName]);

/** Names in a folder of a stack: of files, and of what it removes. Sorted. */
export function namesIn(folder: ByteString, marks: Marks): ByteString[] {
  const names = listNames(folder);
  if (marks === 'kernel') return names;
  const shown = names
    .filter((name) => !opaqueFiles.has(name))
    .map((name) => (name.startsWith(whiteoutPrefix) ? name.slice(whiteoutPrefix.length) : name));
  return [...new Set(shown)].sort();
}

/** Whether a folder removes the name; `stat` is of what it has by it. */
export function removes(folder: ByteString, name: ByteString, stat: FullStat | undefined, marks: Marks): boolean {
  if (stat !== undefined) return isDevice(stat);
  return marks === 'fuse' && statOf(`${folder}/${whiteoutPrefix}${name}`) !== undefined;
}

/** True when nothing below shows through this folder. */
export function isOpaque(path: ByteString, marks: Marks): boolean {
  if (hasOpaqueAttribute(path)) return true;
  return marks === 'fuse' && [...opaqueFiles].some((name) => statOf(`${path}/${name}`) !== undefined);
}

export function remove(folder: ByteString, name: ByteString, marks: Marks): void {
  orByFile(
    marks,
    () => sys.mknod(bytesOf(`${folder}/${name}`), typeBits.char, 0, 0),
    `${folder}/${whiteoutPrefix}${name}`,
  );
}

export function makeOpaque(path: ByteString, marks: Marks): void {
  orByFile(marks, () => sys.lsetxattr(bytesOf(path), opaqueAttribute, Buffer.from('y')), `${path}/${opaqueName}`);
}

function orByFile(marks: Marks, mark: () => void, file: ByteString): void {
  try {
    mark();
  } catch (error) {
    if (marks === 'kernel' || !['EPERM', 'ENOTSUP', 'EOPNOTSUPP'].some((code) => isErrno(error, code))) throw error;
    sys.mknod(bytesOf(file), typeBits.file, 0, 0);
  }
}

function isDevice(stat: FullStat): boolean {
  return typeOfStat(stat) === 'char' && stat.rdevMajor === 0 && stat.rdevMinor === 0;
}

function hasOpaqueAttribute(path: ByteString): boolean {
  try {
    return sys.lgetxattr(bytesOf(path), opaqueAttribute)?.toString('latin1') === 'y';
  } catch (error) {
    if (isErrno(error, 'ENOTSUP') || isErrno(error, 'EOPNOTSUPP')) return false;
    throw error;
  }
}

/** Names in a folder as bytes, sorted; none when it vanished. */
export function listNames(folder: ByteString): ByteString[] {
  try {
    return readdirSync(bytesOf(folder), 'buffer').map(byteString).sort();
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return [];
    throw error;
  }
}
