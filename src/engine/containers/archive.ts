import { closeSync, constants, fstatSync, readlinkSync } from 'node:fs';
import { posix } from 'node:path';
import type { ArchiveStat } from '#api-types';
import { bytesFromUtf8 } from '#archive';
import { isErrno } from '#errdefs';
import { type FullStat, resolveFlags, sys } from '#sys';
import type { EngineContext } from '../context.ts';
import { formatNs } from '../time.ts';
import { aheadBytes, withRoomAhead } from '../trash/index.ts';
import { copyOwner } from './copy-owner.ts';
import { emitContainer } from './events.ts';
import { extractInto } from './extract.ts';
import { openFolderInRoot, openInRoot, openRootView, type RootView } from './root-view.ts';
import { TreeTar } from './tree-tar.ts';
import { requireWritable, writeFault } from './writable-places.ts';

const O_PATH = 0o10000000;

/** `HEAD /containers/{id}/archive`. The last component is not followed; its target is told. */
export async function archiveStat(ctx: EngineContext, reference: string, path: string): Promise<ArchiveStat> {
  const container = ctx.containers.resolve(reference);
  await using view = await openRootView(ctx, container, path);
  return statInView(reference, view, path);
}

/** `GET /containers/{id}/archive`: the path as a tar whose first component is its base name. */
export async function getArchive(
  ctx: EngineContext,
  reference: string,
  path: string,
  options: { lend?: boolean; signal?: AbortSignal | undefined } = {},
): Promise<{ stat: ArchiveStat; archive: AsyncIterable<Uint8Array> }> {
  const container = ctx.containers.resolve(reference);
  const view = await openRootView(ctx, container, path);
  try {
    const stat = statInView(reference, view, path);
    emitContainer(ctx, container, 'archive-path');
    return { stat, archive: packView(view, path, options) };
  } catch (error) {
    await view[Symbol.asyncDispose]();
    throw error;
  }
}

async function* packView(
  view: RootView,
  asked: string,
  { lend, signal }: { lend?: boolean; signal?: AbortSignal | undefined },
): AsyncGenerator<Uint8Array> {
  await using _held = view;
  const { folder, name } = splitPath(view.path);
  // `path/.` means the folder's contents under the name `.`; the root's have no name before the slash.
  const shown = bytesFromUtf8(posix.basename(asked) === '.' ? '.' : name);
  const tar = new TreeTar(view.fd, { ids: view.ids, lend });
  const isFolder = name === '' || asksForFolder(asked);
  const parts = isFolder ? tar.pack(view.path, '.', shown) : tar.pack(folder, bytesFromUtf8(name), shown);
  for await (const chunk of parts) {
    signal?.throwIfAborted();
    yield chunk;
  }
}

/** `PUT /containers/{id}/archive`: extracts into an existing folder, every path resolved inside the container's root. */
export async function putArchive(
  ctx: EngineContext,
  reference: string,
  path: string,
  archive: AsyncIterable<Uint8Array>,
  options: {
    noOverwriteDirNonDir?: boolean;
    copyUIDGID?: boolean;
    lent?: boolean;
    signal?: AbortSignal | undefined;
  } = {},
): Promise<void> {
  const container = ctx.containers.resolve(reference);
  const owner = options.copyUIDGID ? await copyOwner(ctx, container) : undefined;
  await ctx.trash.keepFree(aheadBytes);
  await using view = await openRootView(ctx, container, path);
  const folderFd = openFolderInRoot(view.fd, view.path, `${path} in container ${reference}`);
  try {
    requireWritable(container.body, path);
    const folder = bytesFromUtf8(view.path);
    await extractInto(view.fd, folder, withRoomAhead(ctx.trash, archive), { ...options, owner, ids: view.ids });
  } catch (error) {
    throw writeFault(container.body, error);
  } finally {
    closeSync(folderFd);
  }
  emitContainer(ctx, container, 'extract-to-dir');
}

/** A symlink written so is followed. */
const asksForFolder = (path: string) => path.endsWith('/') || path.endsWith('/.');

function splitPath(path: string): { folder: string; name: string } {
  const clean = posix.join('/', path).replace(/(?<=.)\/$/, '');
  return { folder: posix.dirname(clean), name: posix.basename(clean) };
}

function statInView(reference: string, view: RootView, asked: string): ArchiveStat {
  const { folder, name } = splitPath(view.path);
  const shown = `${asked} in container ${reference}`;
  const mustBeFolder = asksForFolder(asked);
  const flags = O_PATH | (mustBeFolder ? constants.O_DIRECTORY : constants.O_NOFOLLOW);
  const fd = openInRoot(view.fd, posix.join(folder, name), flags, shown);
  try {
    const stat = sys.lstat(`/proc/self/fd/${fd}/`.replace(/\/$/, fstatSync(fd).isDirectory() ? '/.' : ''));
    const target = mustBeFolder ? '' : linkTarget(view, folder, name);
    return describe(stat, fstatSync(fd), posix.basename(asked) || '/', target);
  } finally {
    closeSync(fd);
  }
}

function describe(
  stat: FullStat,
  plain: { mode: number; size: number; mtimeMs: number },
  name: string,
  target: string,
): ArchiveStat {
  const timeNs = BigInt(Math.trunc(plain.mtimeMs)) * 1_000_000n + BigInt(stat.mtime.nsec % 1_000_000);
  return {
    name,
    size: plain.size,
    mode: goFileMode(plain.mode),
    mtime: formatNs(timeNs),
    linkTarget: target,
  };
}

/** Where a symlink ends inside the root; empty for anything else. */
function linkTarget(view: RootView, folder: string, name: string): string {
  if (name === '') return '';
  const folderFd = sys.openInRoot(view.fd, folder, constants.O_RDONLY | constants.O_DIRECTORY, 0, resolveFlags.inRoot);
  try {
    const target = readlinkSync(`/proc/self/fd/${folderFd}/${name}`);
    return target.startsWith('/') ? posix.normalize(target) : posix.join(folder, target);
  } catch (error) {
    if (isErrno(error, 'EINVAL')) return '';
    throw error;
  } finally {
    closeSync(folderFd);
  }
}

/** Go's os.FileMode: permission bits with its own type bits on top. */
function goFileMode(mode: number): number {
  const bits: readonly (readonly [number, number])[] = [
    [constants.S_IFDIR, 2 ** 31],
    [constants.S_IFLNK, 2 ** 27],
    [constants.S_IFIFO, 2 ** 25],
    [constants.S_IFSOCK, 2 ** 24],
    [constants.S_IFCHR, 2 ** 26 + 2 ** 21],
    [constants.S_IFBLK, 2 ** 26],
  ];
  const type = bits.find(([kind]) => (mode & constants.S_IFMT) === kind)?.[1] ?? 0;
  const setuid = mode & 0o4000 ? 2 ** 23 : 0;
  const setgid = mode & 0o2000 ? 2 ** 22 : 0;
  const sticky = mode & 0o1000 ? 2 ** 20 : 0;
  return (mode & 0o777) + type + setuid + setgid + sticky;
}
