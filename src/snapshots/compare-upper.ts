import type { ByteString } from '#archive';
import { isErrno } from '#errdefs';
import type { FullStat, NanoTime } from '#sys';
import { readXattrs, statOf, typeOfStat } from './attributes.ts';
import { isOpaque, removes } from './marks.ts';
import type { MergedFile } from './merged.ts';
import { marksOf, namesInUpper, type Upper, withoutNotes } from './upper.ts';

/** One name in a writable layer, or one that it removed. */
export type Compared =
  | {
      readonly kind: 'delete';
      readonly path: ByteString;
      readonly below: MergedFile;
      /** An opaque folder removes it, together with all else. */
      readonly byFolder: boolean;
    }
  | {
      readonly kind: 'add' | 'modify' | 'same';
      /** Without a leading slash. */
      readonly path: ByteString;
      /** Where it is on this machine. */
      readonly place: ByteString;
      readonly stat: FullStat;
      readonly below: MergedFile | undefined;
      /** A folder that hides everything the chain has in the same place. */
      readonly opaque: boolean;
    };

export interface CompareOptions {
  /** Compare all extended attributes and folder times, not only what Docker looks at. */
  readonly strict: boolean;
}

/**
 * Walks a writable layer in the order of its names, a folder before what it holds. What a running container removes
 * meanwhile is left out. Each step costs a few system calls; run it in slices.
 */
export function* compareUpper(
  upper: Upper,
  below: MergedFile | undefined,
  options: CompareOptions,
): Generator<Compared> {
  yield* compareFolder({ upper, options }, '', below, upper.form === 'plain');
}

interface Walk {
  readonly upper: Upper;
  readonly options: CompareOptions;
}

function* compareFolder(
  walk: Walk,
  path: ByteString,
  below: MergedFile | undefined,
  hidesAll: boolean,
): Generator<Compared> {
  const own = namesInUpper(walk.upper, walk.upper.root + (path && `/${path}`));
  const removed = hidesAll ? (below?.folder?.candidates() ?? []) : [];
  for (const name of [...new Set([...own, ...removed])].sort()) {
    const childPath = path ? `${path}/${name}` : name;
    yield* compareName(walk, { folder: path, name, path: childPath }, below?.folder?.child(name));
  }
}

interface Named {
  readonly folder: ByteString;
  readonly name: ByteString;
  readonly path: ByteString;
}

function* compareName(walk: Walk, { folder, name, path }: Named, below: MergedFile | undefined): Generator<Compared> {
  const { root, form } = walk.upper;
  const place = `${root}/${path}`;
  const stat = statOf(place);
  const isPlain = form === 'plain';
  const marks = marksOf(walk.upper);
  const isRemoved = !isPlain && removes(folder === '' ? root : `${root}/${folder}`, name, stat, marks);
  if (stat === undefined || isRemoved) {
    if (below !== undefined) yield { kind: 'delete', path, below, byFolder: !isPlain && !isRemoved };
    return;
  }
  const isFolder = typeOfStat(stat) === 'directory';
  const opaque = !isPlain && isFolder && below?.folder !== undefined && isOpaque(place, marks);
  const kind = kindOfChange(place, stat, below, walk);
  if (kind === undefined) return;
  yield { kind, path, place, stat, below, opaque };
  if (isFolder) yield* compareFolder(walk, path, below?.folder && below, isPlain || opaque);
}

function kindOfChange(
  place: ByteString,
  stat: FullStat,
  below: MergedFile | undefined,
  { upper, options }: Walk,
): 'add' | 'modify' | 'same' | undefined {
  if (below === undefined) return 'add';
  if (differs(stat, below.stat, options)) return 'modify';
  try {
    return sameXattrs(upper, place, below.path, options) ? 'same' : 'modify';
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}

/** What Docker compares: a folder's size and time say nothing about the folder itself. */
function differs(a: FullStat, b: FullStat, options: CompareOptions): boolean {
  if (a.mode !== b.mode || a.uid !== b.uid || a.gid !== b.gid) return true;
  if (a.rdevMajor !== b.rdevMajor || a.rdevMinor !== b.rdevMinor) return true;
  const isFolder = typeOfStat(a) === 'directory';
  if (isFolder) return options.strict && !sameTime(a.mtime, b.mtime);
  return a.size !== b.size || !sameTime(a.mtime, b.mtime);
}

/** Times that one side stored in whole seconds count as the same. */
function sameTime(a: NanoTime, b: NanoTime): boolean {
  return a.sec === b.sec && (a.nsec === b.nsec || a.nsec === 0 || b.nsec === 0);
}

function sameXattrs(upper: Upper, a: ByteString, b: ByteString, options: CompareOptions): boolean {
  const [left, right] = [withoutNotes(upper, readXattrs(a)), readXattrs(b)];
  const names = options.strict ? new Set([...left.keys(), ...right.keys()]) : ['security.capability'];
  for (const name of names) {
    const [one, other] = [left.get(name), right.get(name)];
    if (one === undefined || other === undefined ? one !== other : Buffer.compare(one, other) !== 0) return false;
  }
  return true;
}
