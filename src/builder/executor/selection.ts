import { createHash } from 'node:crypto';
import { posix } from 'node:path';
import { type ByteString, clampTime } from '#archive';
import { compileGoMatch, compileIgnorePattern, IgnoreMatcher } from '#dockerfile';
import { EngineError } from '#errdefs';
import { hashList } from './file-hash.ts';
import { pace } from './pace.ts';
import {
  cleanTreePath,
  joinTree,
  parentOf,
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
  /** Came from a URL or a git repository. */
  readonly isRemote?: boolean;
  /** Its times say when it was checked out, nothing of the file. */
  readonly isTimeless?: boolean;
  /** What of a folder is left out, by path below it. */
  readonly excludes?: (within: string) => boolean;
  /** The folders it stands in that the copy has as well, from the top (`--parents`). */
  readonly ancestors?: readonly { readonly path: ByteString; readonly node: TreeNode }[];
}

export interface SelectOptions {
  readonly signal: AbortSignal;
  readonly missingPrefix: string;
  /** Stands behind the error of a source that is not there. */
  readonly hint?: (path: ByteString) => Promise<string>;
  readonly excludes?: readonly string[];
  readonly parents?: boolean;
  /** Told what there is before any of it is hashed. */
  readonly onFound?: (found: readonly Found[]) => Promise<void>;
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
  options: SelectOptions,
): Promise<Selected[]> {
  const { missingPrefix, hint } = options;
  const selecting = { missingPrefix, ...(hint ? { hint } : {}), ...excluder(options.excludes ?? []) };
  const found: Found[] = [];
  for (const pattern of patterns) {
    options.signal.throwIfAborted();
    const path = toBytes(pattern).replace(/^\//, '').replace(/^\.\//, '');
    if (options.parents) found.push(...(await selectWithParents(tree, path, selecting)));
    else if (hasWildcards(path)) {
      for (const match of await matches(tree, path)) found.push(await select(tree, match, selecting));
    } else found.push(await select(tree, path, selecting));
  }
  await options.onFound?.(found);
  if (tree.expect) await tree.expect(await filesOf(found), 'digests');
  return await Promise.all(found.map(async (one) => Object.assign(one, { shownHash: await shownHashOf(one) })));
}

/** Not hashed yet. */
export type Found = Omit<Selected, 'shownHash'>;

/** The paths of all files that sources stand for. */
export async function filesOf(sources: readonly Found[]): Promise<ByteString[]> {
  const paths: ByteString[] = [];
  for (const source of sources) {
    for (const { path, node } of await walkSelected(source)) if (node.type === 'file') paths.push(path);
  }
  return paths;
}

type Selecting = Pick<SelectOptions, 'missingPrefix' | 'hint'> & Pick<Selected, 'excludes'>;

/** @throws EngineError for a pattern that cannot be read */
function excluder(patterns: readonly string[]): Pick<Selected, 'excludes'> {
  if (patterns.length === 0) return {};
  const matcher = new IgnoreMatcher(patterns);
  return { excludes: (within) => matcher.excludes(within) };
}

/** `--parents`: what stands behind `/./` is kept, all of it without one; `**` in it goes through folders. */
async function selectWithParents(tree: SourceTree, pattern: ByteString, options: Selecting): Promise<Found[]> {
  const pivot = pattern.indexOf('/./');
  const base = pivot < 0 ? '' : cleanTreePath(pattern.slice(0, pivot));
  const kept = pivot < 0 ? pattern : pattern.slice(pivot + '/./'.length);
  const { excludes: _excludes, ...plain } = options;
  const start = await select(tree, base, plain);
  const found = hasWildcards(kept)
    ? await matchesBelow(tree, start.resolved, kept)
    : [joinTree(start.resolved, cleanTreePath(kept))];
  const selected: Found[] = [];
  for (const path of found) {
    const ancestors = await foldersBetween(tree, start.resolved, path);
    selected.push({ ...(await select(tree, path, options)), ancestors });
  }
  return selected;
}

/** Every path below `base` that the pattern matches, unless a folder that it matches holds it. */
async function matchesBelow(tree: SourceTree, base: ByteString, pattern: ByteString): Promise<ByteString[]> {
  const matcher = compileIgnorePattern(printable(pattern));
  const found: ByteString[] = [];
  for await (const { path } of walkTree(tree, base)) {
    if (path === base || found.some((folder) => path.startsWith(`${folder}/`))) continue;
    if (matcher.matches(printable(path.slice(base === '' ? 0 : base.length + 1)))) found.push(path);
  }
  return found;
}

async function foldersBetween(tree: SourceTree, base: ByteString, path: ByteString) {
  const folders: { path: ByteString; node: TreeNode }[] = [];
  for (let at = parentOf(path); at.length > base.length; at = parentOf(at)) {
    const node = await tree.lstat(at);
    if (node) folders.unshift({ path: at.slice(base === '' ? 0 : base.length + 1), node });
  }
  return folders;
}

/**
 * A source and everything below it that is not left out, folders before what is in them. A folder that is left out comes along when something in it
 * does not.
 */
export function walkSelected(source: Found): Promise<readonly Item[]> {
  let items = walked.get(source);
  if (!items) walked.set(source, (items = itemsOf(source)));
  return items;
}

export interface Item {
  readonly path: ByteString;
  readonly node: TreeNode;
  /** The path below the source. */
  readonly within: ByteString;
}

/** Its digests, its times and the copy itself each ask for what is in a source. */
const walked = new WeakMap<Found, Promise<readonly Item[]>>();

async function itemsOf({ tree, resolved, excludes }: Found): Promise<readonly Item[]> {
  const items: Item[] = [];
  const withinOf = (path: ByteString) => (resolved === '' ? path : path.slice(resolved.length + 1));
  if (tree.walk && !excludes) {
    for (const { path, node } of tree.walk(resolved)) items.push({ path, node, within: withinOf(path) });
    return items;
  }
  let skipped: Item[] = [];
  for await (const { path, node } of walkTree(tree, resolved)) {
    const item = { path, node, within: withinOf(path) };
    if (item.within === '' || !excludes) {
      items.push(item);
      continue;
    }
    skipped = skipped.filter((folder) => path.startsWith(`${folder.path}/`));
    if (!excludes(printable(item.within))) {
      items.push(...skipped, item);
      skipped = [];
    } else if (node.type === 'directory') skipped.push(item);
  }
  return items;
}

/** Everything below the selected sources, for the cache key. `withOwners`: the copy keeps them. */
export async function fileComponents(
  selected: readonly Selected[],
  options: { readonly withOwners: boolean; readonly signal: AbortSignal },
): Promise<FileComponent[]> {
  const components: FileComponent[] = [];
  for (const source of selected) {
    for (const { path, node } of source.ancestors ?? [])
      components.push(folderComponent(path, node, options.withOwners));
    const rest = pace();
    for (const { path, node, within } of await walkSelected(source)) {
      await rest();
      options.signal.throwIfAborted();
      const content = node.type === 'file' ? await source.tree.contentHash(path) : contentOf(node);
      const owner = options.withOwners ? `${node.uid}:${node.gid}` : '';
      components.push([printable(joinTree(source.path, within)), node.type, owner, node.mode.toString(8), content]);
    }
  }
  return components;
}

function folderComponent(path: ByteString, node: TreeNode, withOwners: boolean): FileComponent {
  return [`${printable(path)}/`, node.type, withOwners ? `${node.uid}:${node.gid}` : '', node.mode.toString(8), ''];
}

function contentOf(node: TreeNode): string {
  if (node.type === 'symlink') return `-> ${printable(node.linkPath)}`;
  return node.type === 'directory' || node.type === 'fifo' ? '' : `${node.devMajor}:${node.devMinor}`;
}

/** One digest over the times that a copy takes over, none later than `moment`. */
export async function timesDigest(
  selected: readonly Selected[],
  { moment, signal }: { readonly moment: number; readonly signal: AbortSignal },
): Promise<string> {
  const hash = createHash('sha256');
  for (const source of selected) {
    if (source.isTimeless) continue;
    const take = ({ mtime }: TreeNode) => {
      const { sec, nsec } = clampTime(mtime, { atSec: moment });
      hash.update(`${sec}.${nsec}\n`);
    };
    for (const { node } of source.ancestors ?? []) take(node);
    signal.throwIfAborted();
    for (const { node } of await walkSelected(source)) take(node);
  }
  return hash.digest('hex');
}

/** One line of JSON each, with its newline: what {@link componentsDigest} is the digest of. */
export function componentLines(components: readonly FileComponent[]): string[] {
  return components.map((entry) => `${JSON.stringify(entry)}\n`);
}

/** Strings as long as a call into the hash is worth. */
const componentsPerUpdate = 200;

/** One digest over many components, without ambiguity. */
export function componentsDigest(components: readonly FileComponent[]): string {
  const hash = createHash('sha256');
  for (let at = 0; at < components.length; at += componentsPerUpdate) {
    hash.update(componentLines(components.slice(at, at + componentsPerUpdate)).join(''));
  }
  return hash.digest('hex');
}

/** What history shows for all sources together. */
export function shownHash(selected: readonly Selected[]): string {
  const hashes = selected.map((source) => source.shownHash);
  return hashes.length === 1 ? hashes[0]! : hashList('multi', hashes);
}

async function select(
  tree: SourceTree,
  path: ByteString,
  { missingPrefix, hint, excludes }: Selecting,
): Promise<Found> {
  if (/^\.\.(\/|$)/.test(posix.normalize(path))) {
    throw new EngineError('invalid-argument', `forbidden path outside the build context: ${printable(path)} ()`);
  }
  const found = await statPath(tree, path);
  if (!found) {
    const behind = (await hint?.(cleanTreePath(path))) ?? '';
    throw new EngineError('not-found', `${missingPrefix}stat ${printable(path)}: file does not exist${behind}`);
  }
  const { path: resolved, node } = found;
  return { tree, path: cleanTreePath(path), resolved, node, ...(excludes ? { excludes } : {}) };
}

async function shownHashOf(source: Found): Promise<string> {
  const { tree, node, resolved } = source;
  return node.type === 'directory' ? await folderHash(source) : `file:${await tree.hash(resolved)}`;
}

async function folderHash(source: Found): Promise<string> {
  const { tree } = source;
  const hashes: string[] = [];
  const rest = pace();
  for (const { path, node } of await walkSelected(source)) {
    await rest();
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
