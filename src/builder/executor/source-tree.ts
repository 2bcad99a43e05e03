import type { ByteString, TarTime } from '#archive';
import { EngineError } from '#errdefs';
import type { ByteSource, FilePart } from '#streams';
import { pace } from './pace.ts';

export type NodeType = 'file' | 'symlink' | 'char' | 'block' | 'directory' | 'fifo';

/** A file as it stands in a tree. Owners and modes are numbers, names byte strings. */
export interface TreeNode {
  readonly type: NodeType;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly sizeBytes: number;
  /** Target of a symlink, else empty. */
  readonly linkPath: ByteString;
  readonly mtime: TarTime;
  readonly devMajor: number;
  readonly devMinor: number;
  /** Equal for names of one file (hardlinks); undefined for a file with one name. */
  readonly inode: string | undefined;
}

/**
 * A tree of files to copy from or to look things up in. Paths are relative to its root, without a leading slash; the root is the empty path.
 * Nothing here follows a symlink: {@link resolvePath} does, inside the tree.
 */
export interface SourceTree {
  /** Undefined when there is nothing, also below a file. */
  lstat(path: ByteString): Promise<TreeNode | undefined>;
  /** Names in a directory, sorted by bytes. */
  list(path: ByteString): Promise<readonly ByteString[]>;
  /** Content of a regular file. */
  read(path: ByteString): ByteSource;
  /** Where that is, in a file that stays open as long as the tree: its parts as they come while it is on its way, undefined where it is not in one. */
  place?(path: ByteString): FilePart | AsyncIterable<FilePart> | undefined;
  xattrs(path: ByteString): Promise<ReadonlyMap<ByteString, Uint8Array>>;
  /** Docker's digest of one name: its header and content (hex), as history shows it. A missing name answers the name. */
  hash(path: ByteString): Promise<string>;
  /** The same for cache keys: without what a copy does not take over. */
  contentHash(path: ByteString): Promise<string>;
  /** The same walk as {@link walkTree}'s, for trees whose names are all in memory: waiting for each would take longer than walking. */
  walk?(path: ByteString): readonly Walked[];
  /** Says what will be asked for next, where each file by itself would have to come from afar. */
  expect?(paths: readonly ByteString[], what: 'digests' | 'contents'): Promise<void>;
}

const maxSymlinks = 255;

/** Joins and cleans: no leading slash, no `.`, `..` stops at the root. */
export function cleanTreePath(...parts: readonly ByteString[]): ByteString {
  const result: ByteString[] = [];
  for (const part of parts.join('/').split('/')) {
    if (part === '' || part === '.') continue;
    if (part === '..') result.pop();
    else result.push(part);
  }
  return result.join('/');
}

export function parentOf(path: ByteString): ByteString {
  return path.slice(0, Math.max(path.lastIndexOf('/'), 0));
}

export function baseOf(path: ByteString): ByteString {
  return path.slice(path.lastIndexOf('/') + 1);
}

export function joinTree(folder: ByteString, name: ByteString): ByteString {
  return folder === '' ? name : name === '' ? folder : `${folder}/${name}`;
}

/**
 * Where `path` is once every symlink on the way is followed inside the tree (and inside `scope`, which absolute targets start from). Parts that do
 * not exist are kept as written.
 * @throws EngineError `invalid-argument` on a loop
 */
export async function resolvePath(
  tree: Pick<SourceTree, 'lstat'>,
  path: ByteString,
  options: { followLast?: boolean; scope?: ByteString } = {},
): Promise<ByteString> {
  const { followLast = true, scope = '' } = options;
  const pending = path.split('/').reverse();
  let resolved: ByteString[] = [];
  for (let symlinks = 0; pending.length > 0; ) {
    const part = pending.pop()!;
    if (part === '' || part === '.') continue;
    if (part === '..') {
      resolved.pop();
      continue;
    }
    const isLast = pending.every((rest) => rest === '' || rest === '.');
    const node = isLast && !followLast ? undefined : await tree.lstat(cleanTreePath(scope, ...resolved, part));
    if (node?.type !== 'symlink') {
      resolved.push(part);
      continue;
    }
    if (++symlinks > maxSymlinks) {
      throw new EngineError('invalid-argument', `resolve ${printable(path)}: too many levels of symbolic links`);
    }
    if (node.linkPath.startsWith('/')) resolved = [];
    pending.push(...node.linkPath.split('/').reverse());
  }
  return cleanTreePath(scope, ...resolved);
}

/** The node at `path`, symlinks followed. */
export async function statPath(
  tree: Pick<SourceTree, 'lstat'>,
  path: ByteString,
): Promise<{ path: ByteString; node: TreeNode } | undefined> {
  const resolved = await resolvePath(tree, path);
  const node = await tree.lstat(resolved);
  return node && { path: resolved, node };
}

export interface Walked {
  readonly path: ByteString;
  readonly node: TreeNode;
}

/** A walk in the order of {@link walkTree} through names that are in memory. */
export function walkNames(
  path: ByteString,
  lookUp: (path: ByteString) => TreeNode | undefined,
  namesIn: (path: ByteString) => readonly ByteString[],
): Walked[] {
  const found: Walked[] = [];
  const pending = [path];
  for (let at = pending.pop(); at !== undefined; at = pending.pop()) {
    const node = lookUp(at);
    if (!node) continue;
    found.push({ path: at, node });
    if (node.type !== 'directory') continue;
    const names = namesIn(at);
    for (let index = names.length - 1; index >= 0; index--) pending.push(joinTree(at, names[index]!));
  }
  return found;
}

/** `path` and everything below it, folders before what is in them, names sorted. */
export async function* walkTree(tree: SourceTree, path: ByteString): AsyncGenerator<Walked> {
  if (tree.walk) {
    yield* tree.walk(path);
    return;
  }
  const pending = [path];
  const rest = pace();
  while (pending.length > 0) {
    await rest();
    const at = pending.pop()!;
    const node = await tree.lstat(at);
    if (!node) continue;
    yield { path: at, node };
    if (node.type !== 'directory') continue;
    const names = await tree.list(at);
    for (let index = names.length - 1; index >= 0; index--) pending.push(joinTree(at, names[index]!));
  }
}

/** For messages. */
export function printable(path: ByteString): string {
  return /[^\0-\x7f]/.test(path) ? Buffer.from(path, 'latin1').toString() : path;
}

/** Text to the bytes that name a file. */
export function toBytes(text: string): ByteString {
  return Buffer.from(text).toString('latin1');
}

export const emptyTree: SourceTree = {
  lstat: async (path) => (path === '' ? plainFolder : undefined),
  list: async () => [],
  read: async function* () {},
  xattrs: async () => new Map(),
  hash: async (path) => printable(path),
  contentHash: async (path) => printable(path),
};

/** A folder nobody described: root's, 0755, without a time. */
export const plainFolder: TreeNode = {
  type: 'directory',
  mode: 0o755,
  uid: 0,
  gid: 0,
  sizeBytes: 0,
  linkPath: '',
  mtime: { sec: 0, nsec: 0 },
  devMajor: 0,
  devMinor: 0,
  inode: undefined,
};
