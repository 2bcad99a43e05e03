import { type ByteString, bytesOf } from '#archive';
import { type FullStat, sys } from '#sys';
import { statOf, typeOfStat } from './attributes.ts';
import { isOpaque, type Marks, namesIn, removes } from './marks.ts';

/** A file as a stack of overlay folders shows it. */
export interface MergedFile {
  readonly stat: FullStat;
  /** Where it is: in the topmost folder that has it. */
  readonly path: ByteString;
  /** Present for directories. */
  readonly folder: MergedFolder | undefined;
}

/**
 * One directory of a stack of folders, read without mounting the stack. Symlinks are never followed: every
 * step is a name in a folder that was seen to be one.
 */
export class MergedFolder {
  /** Top first. */
  readonly #folders: readonly ByteString[];
  readonly #marks: Marks;

  constructor(folders: readonly ByteString[], marks: Marks) {
    this.#folders = folders;
    this.#marks = marks;
  }

  /** The file of that name, `undefined` when there is none or a whiteout hides it. */
  child(name: ByteString): MergedFile | undefined {
    let first: { stat: FullStat; path: ByteString } | undefined;
    const folders: ByteString[] = [];
    for (const folder of this.#folders) {
      const path = `${folder}/${name}`;
      const stat = statOf(path);
      if (removes(folder, name, stat, this.#marks)) break;
      if (stat === undefined) continue;
      if (typeOfStat(stat) !== 'directory') {
        if (first === undefined) return { stat, path, folder: undefined };
        break;
      }
      first ??= { stat, path };
      folders.push(path);
      if (isOpaque(path, this.#marks)) break;
    }
    return first && { ...first, folder: new MergedFolder(folders, this.#marks) };
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
    return [...new Set(this.#folders.flatMap((folder) => namesIn(folder, this.#marks)))].sort();
  }
}

/** The root of a stack, top first; `undefined` for an empty one. */
export function mergedRoot(folders: readonly ByteString[], marks: Marks = 'kernel'): MergedFile | undefined {
  const path = folders[0];
  if (path === undefined) return undefined;
  return { stat: sys.lstat(bytesOf(path)), path, folder: new MergedFolder(folders, marks) };
}
