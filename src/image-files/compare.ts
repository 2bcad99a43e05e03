import type { FileAspect, ImageDifference } from '#api-types';
import type { MergedNode } from '#erofs';
import { describeFile } from './describe.ts';
import type { FileBytes } from './file-bytes.ts';
import type { DataPlace, FoundFile, ImageTree } from './image-tree.ts';
import { below } from './list.ts';

export interface ComparedTrees {
  readonly before: ImageTree;
  readonly after: ImageTree;
  readonly bytes: FileBytes;
  /** Times count. */
  readonly times: boolean;
}

/** What two images differ in, file by file, folders before what is in them. Blocking. */
export function* compareTrees(trees: ComparedTrees): Generator<ImageDifference> {
  yield* comparePair(trees, trees.before.root, trees.after.root);
}

function* comparePair(trees: ComparedTrees, one: FoundFile, other: FoundFile): Generator<ImageDifference> {
  // Images of one base share most of their layers: what comes from the same places need not be looked at.
  if (isSamePlace(trees, one.node, other.node)) return;
  const aspects = aspectsOf(trees, one.node, other.node);
  const [before, after] = [trees.before, trees.after];
  if (aspects.length > 0) {
    const sides = { before: describeFile(before, one), after: describeFile(after, other) };
    yield { kind: 'file', change: 'changed', aspects, ...sides };
  }
  if (aspects.includes('type')) {
    for (const file of below(before, one))
      yield { kind: 'file', change: 'removed', before: describeFile(before, file) };
    for (const file of below(after, other)) yield { kind: 'file', change: 'added', after: describeFile(after, file) };
    return;
  }
  yield* compareFolders(trees, one, other);
}

/** Both sides' names are in byte order. */
function* compareFolders(trees: ComparedTrees, one: FoundFile, other: FoundFile): Generator<ImageDifference> {
  const [ours, theirs] = [trees.before.children(one), trees.after.children(other)];
  let [left, right] = [ours.next(), theirs.next()];
  while (!left.done || !right.done) {
    if (right.done || (!left.done && left.value.path < right.value.path)) {
      yield* whole(trees.before, left.value!, (before) => ({ kind: 'file', change: 'removed', before }));
      left = ours.next();
    } else if (left.done || right.value.path < left.value.path) {
      yield* whole(trees.after, right.value, (after) => ({ kind: 'file', change: 'added', after }));
      right = theirs.next();
    } else {
      yield* comparePair(trees, left.value, right.value);
      [left, right] = [ours.next(), theirs.next()];
    }
  }
}

function* whole(
  tree: ImageTree,
  file: FoundFile,
  difference: (file: ReturnType<typeof describeFile>) => ImageDifference,
): Generator<ImageDifference> {
  yield difference(describeFile(tree, file));
  for (const inside of below(tree, file)) yield difference(describeFile(tree, inside));
}

function isSamePlace({ before, after }: ComparedTrees, one: MergedNode, other: MergedNode): boolean {
  const [ours, theirs] = [before.places(one), after.places(other)];
  return ours.length === theirs.length && ours.every((place, at) => place === theirs[at]);
}

function aspectsOf(trees: ComparedTrees, one: MergedNode, other: MergedNode): FileAspect[] {
  const [a, b] = [trees.before.inode(one), trees.after.inode(other)];
  if (a.type !== b.type) return ['type'];
  const differs: readonly (readonly [FileAspect, boolean])[] = [
    ['content', a.type === 'file' && (a.sizeBytes !== b.sizeBytes || !hasSameBytes(trees, one, other))],
    ['mode', a.mode !== b.mode],
    ['owner', a.uid !== b.uid || a.gid !== b.gid],
    ['xattrs', !isSameMap(a.xattrs, b.xattrs)],
    ['target', a.linkPath !== b.linkPath],
    ['device', a.devMajor !== b.devMajor || a.devMinor !== b.devMinor],
    ['modified', trees.times && (a.mtime.sec !== b.mtime.sec || a.mtime.nsec !== b.mtime.nsec)],
  ];
  return differs.flatMap(([aspect, isOther]) => (isOther ? [aspect] : []));
}

function isSameMap(one: ReadonlyMap<string, Uint8Array>, other: ReadonlyMap<string, Uint8Array>): boolean {
  if (one.size !== other.size) return false;
  return [...one].every(([name, value]) => {
    const theirs = other.get(name);
    return theirs !== undefined && Buffer.compare(value, theirs) === 0;
  });
}

const chunkBytes = 1 << 18;
const [left, right] = [Buffer.allocUnsafeSlow(chunkBytes), Buffer.allocUnsafeSlow(chunkBytes)];

/** Of files of one size. */
function hasSameBytes({ before, after, bytes }: ComparedTrees, one: MergedNode, other: MergedNode): boolean {
  const [ours, theirs] = [before.data(one), after.data(other)];
  if (isSameData(ours, theirs)) return true;
  const { sizeBytes } = before.inode(one);
  for (let done = 0; done < sizeBytes; done += chunkBytes) {
    const length = Math.min(chunkBytes, sizeBytes - done);
    const [a, b] = [left.subarray(0, length), right.subarray(0, length)];
    bytes.read(ours, a, done);
    bytes.read(theirs, b, done);
    if (!a.equals(b)) return false;
  }
  return true;
}

function isSameData(ours: readonly DataPlace[], theirs: readonly DataPlace[]): boolean {
  if (ours.length !== theirs.length) return false;
  return ours.every(({ offset, lengthBytes, source, sourceOffset }, at) => {
    const other = theirs[at]!;
    const isSameSource = 'layer' in source && 'layer' in other.source && source.layer === other.source.layer;
    return (
      isSameSource &&
      offset === other.offset &&
      lengthBytes === other.lengthBytes &&
      sourceOffset === other.sourceOffset
    );
  });
}
