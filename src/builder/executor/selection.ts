import { createHash } from 'node:crypto';
import { posix } from 'node:path';
import type { ByteString } from '#archive';
import { compileGoMatch } from '#dockerfile';
import { EngineError } from '#errdefs';
import { hashList } from './file-hash.ts';
import {
  cleanTreePath,
  joinTree,
  printable,
  type SourceTree,
  statPath,
  type TreeNode,
  toBytes,
  walkTree,
} from './source-tree.ts';

/** One source of COPY or ADD, found. */
export interface Selected {
  readonly tree: SourceTree;
  /** As written, cleaned: its last part names the copy. */
  readonly path: ByteString;
  /** Where it is once symlinks are followed. */
  readonly resolved: ByteString;
  readonly node: TreeNode;
  /** `file:…` or `dir:…`, as history shows it. */
  readonly shownHash: string;
}

/** A file of a source as the cache key sees it: everything that the result depends on, and no time. */
export type FileComponent = readonly [path: string, kind: string, owner: string, mode: string, content: string];

/**
 * The files that `patterns` name, in Docker's order: patterns as written, matches by name.
 * @throws EngineError in Docker's words
 */
export async function selectSources(
  tree: SourceTree,
  patterns: readonly string[],
  options: { readonly signal: AbortSignal; readonly missingPrefix: string },
): Promise<Selected[]> {
  const selected: Selected[] = [];
  for (const pattern of patterns) {
    options.signal.throwIfAborted();
    const path = toBytes(pattern).replace(/^\//, '').replace(/^\.\//, '');
    if (hasWildcards(path)) {
      for (const match of await matches(tree, path)) selected.push(await select(tree, match, options.missingPrefix));
    } else {
      selected.push(await select(tree, path, options.missingPrefix));
    }
  }
  return selected;
}

/** Everything below the selected sources, for the cache key. `withOwners`: the copy keeps them. */
export async function fileComponents(
  selected: readonly Selected[],
  options: { readonly withOwners: boolean; readonly signal: AbortSignal },
): Promise<FileComponent[]> {
  const components: FileComponent[] = [];
  for (const source of selected) {
    for await (const { path, node } of walkTree(source.tree, source.resolved)) {
      options.signal.throwIfAborted();
      components.push(await component(source, path, node, options.withOwners));
    }
  }
  return components;
}

async function component(
  source: Selected,
  path: ByteString,
  node: TreeNode,
  withOwners: boolean,
): Promise<FileComponent> {
  const rest = path.slice(source.resolved.length).replace(/^\//, '');
  const owner = withOwners ? `${node.uid}:${node.gid}` : '';
  const mode = node.mode.toString(8);
  return [printable(joinTree(source.path, rest)), node.type, owner, mode, await contentOf(source.tree, path, node)];
}

async function contentOf(tree: SourceTree, path: ByteString, node: TreeNode): Promise<string> {
  if (node.type === 'file') return await tree.contentHash(path);
  if (node.type === 'symlink') return `-> ${printable(node.linkPath)}`;
  return node.type === 'directory' || node.type === 'fifo' ? '' : `${node.devMajor}:${node.devMinor}`;
}

/** One digest over many components, without ambiguity. */
export function componentsDigest(components: readonly FileComponent[]): string {
  const hash = createHash('sha256');
  for (const entry of components) hash.update(`${JSON.stringify(entry)}\n`);
  return hash.digest('hex');
}

/** What history shows for all sources together. */
export function shownHash(selected: readonly Selected[]): string {
  const hashes = selected.map((source) => source.shownHash);
  return hashes.length === 1 ? hashes[0]! : hashList('multi', hashes);
}

async function select(tree: SourceTree, path: ByteString, missingPrefix: string): Promise<Selected> {
  if (/^\.\.(\/|$)/.test(posix.normalize(path))) {
    throw new EngineError('invalid-argument', `forbidden path outside the build context: ${printable(path)} ()`);
  }
  const found = await statPath(tree, path);
  if (!found) {
    throw new EngineError('not-found', `${missingPrefix}stat ${printable(path)}: file does not exist`);
  }
  const { path: resolved, node } = found;
  const shown = node.type === 'directory' ? await folderHash(tree, resolved) : `file:${await tree.hash(resolved)}`;
  return { tree, path: cleanTreePath(path), resolved, node, shownHash: shown };
}

async function folderHash(tree: SourceTree, resolved: ByteString): Promise<string> {
  const hashes: string[] = [];
  for await (const { path, node } of walkTree(tree, resolved)) {
    if (path !== '') hashes.push(node.type === 'symlink' ? await hashFollowing(tree, path) : await tree.hash(path));
  }
  return hashList('dir', hashes.sort());
}

/** A symlink counts as what it leads to; one that leads nowhere, as its own name. */
async function hashFollowing(tree: SourceTree, path: ByteString): Promise<string> {
  const found = await statPath(tree, path);
  return found ? await tree.hash(found.path) : printable(path);
}

function hasWildcards(path: ByteString): boolean {
  return /[*?[]/.test(path.replace(/\\./gs, ''));
}

/** Every path that the pattern matches; a pattern that cannot be read matches nothing, as in Docker. */
async function matches(tree: SourceTree, pattern: ByteString): Promise<ByteString[]> {
  const text = printable(pattern);
  let matcher: (path: string) => boolean;
  try {
    matcher = compileGoMatch(text).matches;
  } catch (error) {
    if (error instanceof EngineError) return [];
    throw error;
  }
  const depth = text.split('/').length;
  const found: ByteString[] = [];
  for await (const path of pathsUpTo(tree, '', depth)) if (matcher(printable(path))) found.push(path);
  return found;
}

/** A class may match a slash, so one level more than the pattern has is looked at. */
async function* pathsUpTo(tree: SourceTree, folder: ByteString, depth: number): AsyncGenerator<ByteString> {
  for (const name of await tree.list(folder)) {
    const path = joinTree(folder, name);
    yield path;
    if (depth > 0 && (await tree.lstat(path))?.type === 'directory') yield* pathsUpTo(tree, path, depth - 1);
  }
}
