import { closeSync, constants, openSync } from 'node:fs';
import { posix } from 'node:path';
import { EngineError, isErrno } from '#errdefs';
import { resolveFlags, sys } from '#sys';
import type { EngineContext } from '../context.ts';
import { type IDMapping, idsOf, remapOf } from '../remap/index.ts';
import type { Container } from './container.ts';
import { emitVolumeMounts, emitVolumeUnmounts } from './events.ts';
import { isOwnStorage } from './held-mounts.ts';
import { viewImage } from './image-mounts.ts';

/**
 * A container's file system as a descriptor: the process's own view while it runs (volumes included), else the mounted snapshot or the volume the path is in.
 * Every path is resolved below it by the kernel (openat2, RESOLVE_IN_ROOT), so that a container that swaps symlinks gains nothing (CVE-2018-15664).
 */
export interface RootView extends AsyncDisposable {
  readonly fd: number;
  /** How the container's owners are shown below `fd`, where they are others. */
  readonly ids: IDMapping | undefined;
  /** Where the asked path is below `fd`. */
  readonly path: string;
}

/** Its volumes are in use as long as the view is open. */
export async function openRootView(ctx: EngineContext, container: Container, path: string): Promise<RootView> {
  const view = await openView(ctx, container, path);
  emitVolumeMounts(ctx, container);
  return {
    ...view,
    async [Symbol.asyncDispose]() {
      await view[Symbol.asyncDispose]();
      emitVolumeUnmounts(ctx, container);
    },
  };
}

/** The same without telling anyone: for a look at a file, not for a copy. */
export async function openView(ctx: EngineContext, container: Container, path: string): Promise<RootView> {
  const clean = posix.join('/', path);
  const ids = idsOf(ctx, container);
  if (container.isUp) {
    const fd = openFolder(`/proc/${container.body.state.pid}/root`);
    return view({ fd, path: clean, ids }, async () => {});
  }
  const inside = container.body.mounts.find(
    (mount) => mount.kind !== 'tmpfs' && (clean === mount.destination || clean.startsWith(`${mount.destination}/`)),
  );
  if (inside && inside.kind !== 'tmpfs') {
    const part = inside.kind === 'bind' ? '' : (inside.subpath ?? '');
    const below = posix.join('/', part, clean.slice(inside.destination.length));
    if (inside.kind === 'image') {
      const { root, release } = await viewImage(ctx, container, inside);
      return view({ fd: openFolder(root), path: below, ids }, release);
    }
    if (inside.kind !== 'volume') {
      return view({ fd: openFolder(inside.source), path: below, ids }, async () => {});
    }
    // Not the container's own hold: it may start meanwhile.
    const user = `view ${crypto.randomUUID()}`;
    await ctx.volumes.hold(inside.name, user);
    try {
      const shown = isOwnStorage(ctx, inside.name) ? undefined : ids;
      const place = { fd: openFolder(inside.source), path: below, ids: shown };
      return view(place, () => ctx.volumes.release(inside.name, user));
    } catch (error) {
      await ctx.volumes.release(inside.name, user);
      throw error;
    }
  }
  const { root } = await ctx.snapshots.mount(container.id, remapOf(ctx, container.body.hostConfig));
  try {
    return view({ fd: openFolder(root), path: clean, ids }, () => ctx.snapshots.unmount(container.id));
  } catch (error) {
    await ctx.snapshots.unmount(container.id);
    throw error;
  }
}

function view(place: Pick<RootView, 'fd' | 'path' | 'ids'>, release: () => Promise<void>): RootView {
  return {
    ...place,
    async [Symbol.asyncDispose]() {
      closeSync(place.fd);
      await release();
    },
  };
}

function openFolder(path: string): number {
  return openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
}

/** A folder below the root by descriptor; the caller closes it. @throws `not-found` in Docker's words. */
export function openFolderInRoot(rootFd: number, path: string, shown: string): number {
  return openInRoot(rootFd, path, constants.O_RDONLY | constants.O_DIRECTORY, shown);
}

export function openInRoot(rootFd: number, path: string, flags: number, shown: string): number {
  try {
    return sys.openInRoot(rootFd, path === '' ? '/' : path, flags, 0, resolveFlags.inRoot);
  } catch (error) {
    if (isErrno(error, 'ENOENT'))
      throw new EngineError('not-found', `Could not find the file ${shown}`, { cause: error });
    if (isErrno(error, 'ENOTDIR'))
      throw new EngineError('invalid-argument', 'extraction point is not a directory', { cause: error });
    throw error;
  }
}
