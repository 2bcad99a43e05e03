import { closeSync, constants, mkdirSync, openSync, statSync } from 'node:fs';
import { posix } from 'node:path';
import { bytesFromUtf8 } from '#archive';
import { isErrno } from '#errdefs';
import { mountClone } from '#mount';
import { mountFlags, resolveFlags, sys } from '#sys';
import type { EngineContext } from '../context.ts';
import { remapOf } from '../remap/index.ts';
import type { Container } from './container.ts';
import { openFolder } from './extract.ts';
import { heldFolder, type PlacedMount, placeMount, releaseMounts, withSource } from './held-mounts.ts';
import { viewImage } from './image-mounts.ts';
import type { PlannedMount } from './record.ts';
import { resolveUser } from './user.ts';

const O_PATH = 0o10000000;

/** A bind of a build's cache is lent at a start; a tmpfs begins with it. Neither is there without one. */
const isThere = (mount: PlannedMount): mount is PlacedMount =>
  mount.kind !== 'tmpfs' && !(mount.kind === 'bind' && mount.cache);

export const hasPlacedMounts = ({ body }: Container): boolean => body.mounts.some(isThere);

/**
 * The root of a container that does not run as it would be if it did: its volumes, binds and images in their places, where symlinks lead from one to the other
 * and back. As with dockerd a place that is missing is made, and stays. `root` is its mounted snapshot.
 */
export async function assembleRoot(
  ctx: EngineContext,
  container: Container,
  root: string,
): Promise<{ readonly path: string } & AsyncDisposable> {
  await using owned = new AsyncDisposableStack();
  const key = `view-${crypto.randomUUID()}`;
  const path = heldFolder(ctx, key);
  owned.defer(() => releaseMounts(ctx, key));
  mkdirSync(path, { recursive: true, mode: 0o700 });
  mountClone(root, path);
  const { mounts, config, hostConfig } = container.body;
  const user = resolveUser(root, mounts.some(isMapped) ? (config.User ?? '') : '');
  const remap = remapOf(ctx, hostConfig);
  for (const mount of mounts.filter(isThere).sort((a, b) => depth(a.destination) - depth(b.destination))) {
    const present = await holdSource(ctx, container, mount, { key, owned });
    withSource(present, (source) => {
      const fd = openPlace(path, mount.destination, statSync(source).isDirectory(), remap?.mapping);
      try {
        const readOnly = mount.readOnly && !(mount.kind === 'bind' && mount.readOnlyNonRecursive);
        placeMount(ctx, mount, { source, target: `/proc/self/fd/${fd}` }, { remap, user, readOnly });
      } finally {
        closeSync(fd);
      }
    });
  }
  if (hostConfig.ReadonlyRootfs) {
    sys.mount('', path, '', mountFlags.bind | mountFlags.remount | mountFlags.readOnly, '');
  }
  const held = owned.move();
  return { path, [Symbol.asyncDispose]: () => held.disposeAsync() };
}

const isMapped = (mount: PlannedMount) => mount.kind === 'bind' && mount.idmap === true;
const depth = (path: string) => path.split('/').length;

/** Keeps what a mount shows there until the view is given back. Not by the container's own hold: it may start and end meanwhile. */
async function holdSource(
  ctx: EngineContext,
  container: Container,
  mount: PlacedMount,
  { key, owned }: { key: string; owned: AsyncDisposableStack },
): Promise<PlacedMount> {
  if (mount.kind === 'volume') {
    await ctx.volumes.hold(mount.name, key);
    owned.defer(() => ctx.volumes.release(mount.name, key));
  }
  if (mount.kind !== 'image') return mount;
  const { root, release } = await viewImage(ctx, container, mount);
  owned.defer(release);
  return { ...mount, source: root };
}

/** The place of a mount, found inside the root and made where it is not. */
function openPlace(root: string, path: string, isFolder: boolean, ids: Parameters<typeof openFolder>[2]): number {
  const rootFd = openSync(root, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    try {
      return sys.openInRoot(rootFd, path, O_PATH, 0, resolveFlags.inRoot);
    } catch (error) {
      if (!isErrno(error, 'ENOENT')) throw error;
    }
    const folder = openFolder(rootFd, bytesFromUtf8(isFolder ? path : posix.dirname(path)), ids);
    if (isFolder) return folder;
    try {
      const flags = constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
      closeSync(openSync(`/proc/self/fd/${folder}/${posix.basename(path)}`, flags, 0o644));
      return sys.openInRoot(rootFd, path, O_PATH, 0, resolveFlags.inRoot);
    } finally {
      closeSync(folder);
    }
  } finally {
    closeSync(rootFd);
  }
}
