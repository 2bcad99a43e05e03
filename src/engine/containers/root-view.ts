import { closeSync, constants, openSync } from 'node:fs';
import { posix } from 'node:path';
import { EngineError, isErrno } from '#errdefs';
import { resolveFlags, sys } from '#sys';
import type { EngineContext } from '../context.ts';
import { type IDMapping, idsOf, remapOf } from '../remap/index.ts';
import { assembleRoot, hasPlacedMounts } from './assembled-root.ts';
import type { Container } from './container.ts';
import { emitVolumeMounts, emitVolumeUnmounts } from './events.ts';

/**
 * A container's file system as a descriptor, volumes included: the process's own view while it runs, else one that is made for the purpose.
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
  const live = container.isUp ? openLive(container.body.state.pid) : undefined;
  if (live !== undefined) return view({ fd: live, path: clean, ids: idsOf(ctx, container) }, async () => {});
  const remap = remapOf(ctx, container.body.hostConfig);
  await using owned = new AsyncDisposableStack();
  const { root } = await ctx.snapshots.mount(container.id, remap);
  owned.defer(() => ctx.snapshots.unmount(container.id));
  const shown = hasPlacedMounts(container) ? owned.use(await assembleRoot(ctx, container, root)).path : root;
  const fd = openFolder(shown);
  const held = owned.move();
  return view({ fd, path: clean, ids: remap?.mapping }, () => held.disposeAsync());
}

/** Undefined when the process has ended, of which nobody may have heard yet. */
function openLive(pid: number): number | undefined {
  try {
    return openFolder(`/proc/${pid}/root`);
  } catch (error) {
    if (isErrno(error, 'ENOENT') || isErrno(error, 'ESRCH')) return undefined;
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
