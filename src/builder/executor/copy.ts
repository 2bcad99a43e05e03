import type { ByteString, TarTime } from '#archive';
import { EngineError } from '#errdefs';
import type { ByteSource } from '#streams';
import { unpackArchive } from './archive-sources.ts';
import { isArchive } from './inflate.ts';
import type { LayerDraft, NewFolder, Owner } from './layer-draft.ts';
import { type Found, filesOf, walkSelected } from './selection.ts';
import { baseOf, cleanTreePath, joinTree, parentOf, resolvePath, type TreeNode, toBytes } from './source-tree.ts';

const root: Owner = { uid: 0, gid: 0 };

export interface CopyOptions {
  /** As written, absolute or below `workingDir`. */
  readonly destination: string;
  readonly workingDir: string;
  /** Owner of everything copied; undefined keeps the sources' own. */
  readonly owner: Owner | undefined;
  /** Whether a source that is an archive is unpacked. */
  readonly unpack: (source: Found) => boolean;
  /** Time of folders that are made, and of sources whose own mean nothing; absent, a source's own time for both. */
  readonly moment?: TarTime;
  /** Replaces the mode of everything copied. */
  readonly mode?: (node: TreeNode) => number;
  /** Of folders that are made on the way. */
  readonly folderMode?: number | undefined;
  /** Contents that are not here have been asked for: the layer waits for each when it comes to it. */
  readonly onTheirWay?: boolean;
  readonly signal: AbortSignal;
  readonly store: (body: ByteSource) => Promise<() => ByteSource>;
}

/** Copies sources into a layer as Docker's classic builder does. @throws EngineError in its words where it has some. */
export async function copySources(draft: LayerDraft, sources: readonly Found[], options: CopyOptions): Promise<void> {
  for (const tree of new Set(sources.map((source) => source.tree))) {
    if (tree.expect && !options.onTheirWay)
      await tree.expect(await filesOf(sources.filter((source) => source.tree === tree)), 'contents');
  }
  for (const source of sources) {
    try {
      await copyOne(draft, source, options);
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      throw new EngineError(error.kind, `failed to copy files: ${error.message}`, { cause: error });
    }
  }
}

async function copyOne(draft: LayerDraft, source: Found, options: CopyOptions): Promise<void> {
  const written = options.destination.startsWith('/')
    ? options.destination
    : `${options.workingDir}/${options.destination}`;
  const target = await resolvePath(draft, toBytes(written));
  if (source.ancestors) return await copyWithParents(draft, source, target, source.ancestors, options);
  if (source.node.type === 'directory') return await copyFolder(draft, source, target, options);
  if (
    options.unpack(source) &&
    source.node.type === 'file' &&
    (await isArchive(() => source.tree.read(source.resolved)))
  ) {
    return await unpackArchive(draft, target, source.tree.read(source.resolved), options);
  }
  const isFolder = written.endsWith('/') || (await draft.lstat(target))?.type === 'directory';
  const path = isFolder ? joinTree(target, baseOf(source.path)) : target;
  await copyFile(draft, source, path, options);
}

/** `--parents`: below the target as the source stands below its base, the folders on the way as they are there. */
async function copyWithParents(
  draft: LayerDraft,
  source: Found,
  target: ByteString,
  ancestors: NonNullable<Found['ancestors']>,
  options: CopyOptions,
): Promise<void> {
  await draft.makeFolders(target, newFolder(source, options));
  for (const { path, node } of ancestors)
    await put(draft, source, path, node, joinTree(target, path), options, undefined);
  const place = joinTree(joinTree(target, ancestors.at(-1)?.path ?? ''), baseOf(source.path));
  const names = new Inodes();
  for (const { path, node, within } of await walkSelected(source)) {
    options.signal.throwIfAborted();
    await put(draft, source, path, node, joinTree(place, within), options, names.of(node));
  }
}

async function copyFile(draft: LayerDraft, source: Found, path: ByteString, options: CopyOptions): Promise<void> {
  const { node } = source;
  if (path === '') throw new EngineError('failed-precondition', 'failed to copy file: / is a directory');
  await draft.makeFolders(parentOf(path), newFolder(source, options));
  await put(draft, source, source.resolved, node, path, options, undefined);
}

/** The content of a folder goes into the target; a new target is 0755 whatever the source is. */
async function copyFolder(draft: LayerDraft, source: Found, target: ByteString, options: CopyOptions): Promise<void> {
  const made = newFolder(source, options);
  // The classic builder gives folders above the target to root; it knows no --chmod, and where there is one BuildKit counts.
  await draft.makeFolders(parentOf(target), options.folderMode === undefined ? { ...made, ...root } : made);
  await draft.makeFolders(target, made);
  const names = new Inodes();
  for (const { path, node, within } of await walkSelected(source)) {
    options.signal.throwIfAborted();
    if (within !== '') await put(draft, source, path, node, joinTree(target, within), options, names.of(node));
  }
}

function newFolder(source: Found, { owner = root, folderMode, moment }: CopyOptions): NewFolder {
  const mode = folderMode === undefined ? {} : { mode: folderMode };
  return { ...owner, ...mode, mtime: moment ?? source.node.mtime };
}

/** Hardlinks hold within one copied folder. */
class Inodes {
  readonly #copy = crypto.randomUUID();

  of(node: TreeNode): string | undefined {
    return node.inode === undefined ? undefined : `${this.#copy} ${node.inode}`;
  }
}

async function put(
  draft: LayerDraft,
  source: Found,
  from: ByteString,
  node: TreeNode,
  to: ByteString,
  options: CopyOptions,
  inode: string | undefined,
): Promise<void> {
  const { tree } = source;
  const content = node.type === 'file' ? { open: () => tree.read(from), place: () => tree.place?.(from) } : {};
  const xattrs = options.owner ? new Map() : await capabilityOf(source, from, node);
  const mtime = (source.isTimeless ? options.moment : undefined) ?? node.mtime;
  await draft.put(to, { ...node, ...options.owner, mode: modeOf(node, options), mtime, inode }, { ...content, xattrs });
}

/** Docker changes the owner last, and the kernel then drops set-id bits and capabilities of files. */
function modeOf(node: TreeNode, options: CopyOptions): number {
  if (options.mode) return options.mode(node);
  if (!options.owner || node.type === 'directory') return node.mode;
  return node.mode & ~(node.mode & 0o010 ? 0o6000 : 0o4000);
}

async function capabilityOf(source: Found, path: ByteString, node: TreeNode) {
  if (node.type !== 'file') return new Map<ByteString, Uint8Array>();
  const value = (await source.tree.xattrs(path)).get('security.capability');
  return new Map(value ? [['security.capability', value]] : []);
}

/** WORKDIR: the folder and its parents, owned by root. Answers whether anything was made. */
export async function makeWorkdir(draft: LayerDraft, path: string, mtime: TarTime): Promise<boolean> {
  const resolved = await resolvePath(draft, toBytes(path));
  try {
    return await draft.makeFolders(cleanTreePath(resolved), { ...root, mtime });
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    throw new EngineError(error.kind, `Cannot mkdir: ${path} is not a directory`, { cause: error });
  }
}
