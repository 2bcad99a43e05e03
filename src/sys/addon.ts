import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { EngineError, isKind } from '#errdefs';
import type { FullStat, PathLike, Sys } from './types.ts';

/** The package's `native/build` folder: above the sources, and above the bundle. */
function findNativeFile(name: string): string {
  for (let folder = import.meta.dirname; ; folder = dirname(folder)) {
    const candidate = join(folder, 'native', 'build', name);
    if (existsSync(candidate)) return candidate;
    if (dirname(folder) === folder) {
      throw new EngineError('failed-precondition', `${name} is not built for this machine: run \`npm run setup\``);
    }
  }
}

/**
 * Where a helper program of the package is: `native/helpers/<name>.c`, built for this machine's architecture.
 * @throws `failed-precondition` when it is not built.
 */
export function helperPath(name: string): string {
  return findNativeFile(`${name}-${process.arch}`);
}

const requireAddon = createRequire(import.meta.url);

/**
 * An addon of the package beside this one: `native/<name>.c`, built where the machine has what it needs; `undefined` when it is not built. What it exports is
 * for its caller to name.
 * @throws `ERR_DLOPEN_FAILED` when a library of its own is gone
 */
export function loadAddon<T>(name: string): T | undefined {
  let path: string;
  try {
    path = findNativeFile(`${name}-${process.arch}.node`);
  } catch (error) {
    if (!isKind(error, 'failed-precondition')) throw error;
    return undefined;
  }
  return requireAddon(path) as T;
}

/** What `native/sys.c` exports as it is; {@link sys} is what the house uses. */
interface Native extends Omit<Sys, 'lstat' | 'lstatIfPresent'> {
  /** Answers false when nothing is there and nothing has to be; otherwise it throws. */
  lstatInto(path: PathLike, words: Uint8Array, mayBeAbsent: boolean): boolean;
}

const native = requireAddon(findNativeFile(`sys-${process.arch}.node`)) as Native;

/**
 * The addon. Importing `#sys` loads it, once per thread, in well under a millisecond.
 * @throws `failed-precondition` on import when it is not built.
 */
export const sys: Sys = {
  ...native,
  lstat(path) {
    native.lstatInto(path, statBytes, false);
    return readStat();
  },
  lstatIfPresent: (path) => (native.lstatInto(path, statBytes, true) ? readStat() : undefined),
};

/** Where the addon puts the numbers of a file: building the object here takes a tenth of the time. */
const statWords = new Float64Array(17);
const statBytes = new Uint8Array(statWords.buffer);
const inode = new BigUint64Array(statWords.buffer, 4 * Float64Array.BYTES_PER_ELEMENT, 1);

function readStat(): FullStat {
  const at = statWords;
  return {
    mode: at[0]!,
    uid: at[1]!,
    gid: at[2]!,
    size: at[3]!,
    ino: inode[0]!,
    nlink: at[5]!,
    devMajor: at[6]!,
    devMinor: at[7]!,
    rdevMajor: at[8]!,
    rdevMinor: at[9]!,
    blocks: at[10]!,
    atime: { sec: at[11]!, nsec: at[12]! },
    mtime: { sec: at[13]!, nsec: at[14]! },
    ctime: { sec: at[15]!, nsec: at[16]! },
  };
}
