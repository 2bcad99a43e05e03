import { closeSync, constants, existsSync, mkdirSync, openSync, readdirSync, statSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { EngineError, isErrno } from '#errdefs';
import { makeMountPoint, mountClone, mountCloneMapped, mountMapped, mountsBelow, unmountBelow } from '#mount';
import { mountFlags, resolveFlags, sys } from '#sys';
import type { EngineContext } from '../context.ts';
import { hostOwner, type Owner, remapOf } from '../remap/index.ts';
import type { Container } from './container.ts';
import { mountIDMap } from './id-map.ts';
import { sharesMounts } from './planned-mount.ts';
import type { PlannedMount } from './record.ts';

type Place = Pick<EngineContext, 'execRoot'>;
type Mounting = Place & Pick<EngineContext, 'remap' | 'volumes'>;

const allFolder = (ctx: Place) => join(ctx.execRoot, 'binds');
const folderOf = (ctx: Place, id: string) => join(allFolder(ctx), id);

/**
 * What an OCI runtime cannot mount by itself is mounted here first, and given to it as a plain bind: part of a volume or image, found by descriptor so that nobody
 * can swap a link in it, and a bind without what is mounted below its source. Answers the places by destination.
 * @throws in Docker's words when a part is not there or leads out of its volume.
 */
export function holdMounts(
  ctx: Mounting,
  container: Container,
  user: { readonly uid: number; readonly gid: number },
): ReadonlyMap<string, string> {
  const held = new Map<string, string>();
  const remap = remapOf(ctx, container.body.hostConfig);
  for (const [number, mount] of container.body.mounts.entries()) {
    if (!isHeld(mount, remap !== undefined)) continue;
    const target = join(folderOf(ctx, container.id), `${number}${isShared(mount) ? sharedSuffix : ''}`);
    mkdirSync(folderOf(ctx, container.id), { recursive: true, mode: 0o700 });
    if (mount.kind === 'image') bindPart(mount, target, undefined);
    else if (mount.kind === 'volume') {
      const userNamespace = isOwnStorage(ctx, mount.name) ? remap?.userNamespace : undefined;
      bindPart(mount, target, userNamespace);
    } else if (mount.idmap) bindMapped(mount, target, remap ? hostOwner(remap.mapping, user) : user);
    else bindAlone(mount, target);
    held.set(mount.destination, target);
  }
  return held;
}

function isHeld(mount: PlannedMount, remapped: boolean): mount is Exclude<PlannedMount, { kind: 'tmpfs' }> {
  if (mount.kind === 'image') return mount.subpath !== undefined;
  return mount.kind === 'volume'
    ? remapped || mount.subpath !== undefined
    : mount.kind === 'bind' && (!mount.recursive || mount.idmap === true);
}

/** A volume whose files are kept here, under the IDs its containers know: not one that is mounted from elsewhere. */
export function isOwnStorage(ctx: Pick<EngineContext, 'volumes'>, volume: string): boolean {
  return !ctx.volumes.find(volume)?.options?.['device'];
}

export const hasHeldMounts = (ctx: Place, { id, body }: Container): boolean =>
  body.mounts.length > 0 && existsSync(folderOf(ctx, id));

/** Tells after a crash, too, which of them do. */
const sharedSuffix = '-shared';
const isShared = (mount: PlannedMount) => mount.kind === 'bind' && sharesMounts(mount.propagation);

/** Absent is fine. */
export async function releaseMounts(ctx: Place, id: string): Promise<void> {
  const folder = folderOf(ctx, id);
  for (const name of entriesOf(folder)) if (name.endsWith(sharedSuffix)) partFromSource(join(folder, name));
  await unmountBelow(folder);
  if (mountsBelow(folder).length === 0) await rm(folder, { recursive: true, force: true });
}

/** Else what is unmounted below it would be unmounted below the source. */
function partFromSource(target: string): void {
  try {
    sys.mount('', target, '', mountFlags.private | mountFlags.recursive, '');
  } catch (error) {
    if (!isErrno(error, 'EINVAL')) throw error; // not mounted
  }
}

/** After a crash: those of containers that do not run. */
export async function releaseStrayMounts(ctx: Place, running: ReadonlySet<string>): Promise<void> {
  for (const id of entriesOf(allFolder(ctx))) if (!running.has(id)) await releaseMounts(ctx, id);
}

function entriesOf(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return [];
    throw error;
  }
}

type Bind = Extract<PlannedMount, { kind: 'bind' }>;

/** The source's mount shares what comes below it with such a bind, as was asked for: what is mounted there in the container is for the source. */
function bindAlone(mount: Bind, target: string): void {
  const { source, propagation } = mount;
  makeMountPoint(source, target);
  if (isShared(mount)) sys.mount(source, target, '', mountFlags.bind, '');
  else mountClone(source, target, { follows: propagation.endsWith('slave') });
}

function bindMapped({ source, recursive, propagation }: Bind, target: string, user: Owner): void {
  if (!existsSync(source)) mkdirSync(source, { recursive: true });
  const owner = statSync(source);
  const userNamespace = sys.openUserNamespace(mountIDMap(owner.uid, user.uid), mountIDMap(owner.gid, user.gid));
  try {
    mountMapped(source, target, { userNamespace, recursive, follows: propagation.endsWith('slave') });
  } finally {
    sys.close(userNamespace);
  }
}

function bindPart(
  { source, subpath = '.' }: { source: string; subpath?: string },
  target: string,
  userNamespace: number | undefined,
): void {
  const root = openSync(source, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    const fd = openPart(root, source, subpath);
    try {
      const part = `/proc/self/fd/${fd}`;
      makeMountPoint(part, target);
      mountCloneMapped(part, target, { userNamespace, recursive: true });
    } finally {
      closeSync(fd);
    }
  } finally {
    closeSync(root);
  }
}

const pathOnly = 0o10000000; // O_PATH, which Node has no name for

function openPart(root: number, source: string, subpath: string): number {
  try {
    return sys.openInRoot(root, subpath, pathOnly, 0, resolveFlags.beneath);
  } catch (error) {
    if (isErrno(error, 'EXDEV')) {
      throw new EngineError(
        'internal',
        `path concatenation escapes the base directory, base: ${source}, subpath: ${subpath}`,
        { cause: error },
      );
    }
    const path = join(source, subpath);
    const reason = isErrno(error, 'ENOTDIR') ? 'not a directory' : 'no such file or directory';
    if (!(isErrno(error, 'ENOENT') || isErrno(error, 'ENOTDIR'))) throw error;
    throw new EngineError('internal', `cannot access path ${path}: lstat ${path}: ${reason}`, { cause: error });
  }
}
