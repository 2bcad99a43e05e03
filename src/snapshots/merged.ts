import { readdirSync } from 'node:fs';
import { type ByteString, byteString, bytesOf } from '#archive';
import { isErrno } from '#errdefs';
import { type FullStat, sys } from '#sys';
import { statOf, typeOfStat } from './attributes.ts';

/** A file as a stack of overlay folders shows it. */
export interface MergedFile {
  readonly stat: FullStat;
  /** Where it is: in the topmost folder that has it. */
  readonly path: ByteString;
  /** Present for directories. */
  readonly folder: MergedFolder | undefined;
}

/** True for the character device by which overlayfs marks a removed name. */
export function isWhiteout(stat: FullStat): boolean {
  return typeOfStat(stat) === 'char' && stat.rdevMajor === 0 && stat.rdevMinor === 0;
}

/** True when overlayfs lets nothing below show through this folder. */
export function isOpaque(path: ByteString): boolean {
  try {
    return sys.lgetxattr(bytesOf(path), 'trusted.overlay.opaque')?.toString('latin1') === 'y';
  } catch (error) {
    if (isErrno(error, 'ENOTSUP') || isErrno(error, 'EOPNOTSUPP')) return false;
    throw error;
  }
}

/**
 * One directory of a stack of overlay-format folders, read without mounting the stack. Symlinks are never followed: every
 * step is a name in a folder that was seen to be one.
 */
export class MergedFolder {
  /** Top first. */
  readonly #folders: readonly ByteString[];

  constructor(folders: readonly ByteString[]) {
    this.#folders = folders;
  }

  /** The file of that name, `undefined` when there is none or a whiteout hides it. */
  child(name: ByteString): MergedFile | undefined {
    let first: { stat: FullStat; path: ByteString } | undefined;
    const folders: ByteString[] = [];
    for (const folder of this.#folders) {
      const path = `${folder}/${name}`;
      const stat = statOf(path);
      if (stat === undefined) continue;
      if (isWhiteout(stat) || typeOfStat(stat) !== 'directory') {
        if (first === undefined && !isWhiteout(stat)) return { stat, path, folder: undefined };
        break;
      }
      first ??= { stat, path };
      folders.push(path);
      if (isOpaque(path)) break;
    }
    return first && { ...first, folder: new MergedFolder(folders) };
  }

  /** The file at a path of names, `undefined` when any step is missing or no directory. */
  find(parts: readonly ByteString[]): MergedFile | undefined {
    let at: MergedFolder | undefined = this;
    let found: MergedFile | undefined;
    for (const part of parts) {
      found = at?.child(part);
      if (found === undefined) return undefined;
      at = found.folder;
    }
    return found;
  }

  /** Names that may be visible, sorted; `child` tells. */
  candidates(): ByteString[] {
    return [...new Set(this.#folders.flatMap(listNames))].sort();
  }
}

/** The root of a stack, top first; `undefined` for an empty one. */
export function mergedRoot(folders: readonly ByteString[]): MergedFile | undefined {
  const path = folders[0];
  if (path === undefined) return undefined;
  return { stat: sys.lstat(bytesOf(path)), path, folder: new MergedFolder(folders) };
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
