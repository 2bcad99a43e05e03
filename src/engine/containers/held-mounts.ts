import { closeSync, constants, existsSync, mkdirSync, openSync, readdirSync, statSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { EngineError, isErrno } from '#errdefs';
import { makeMountPoint, mountCloneMapped, mountsBelow, unmountBelow } from '#mount';
import { mountFlags, resolveFlags, sys } from '#sys';
import type { EngineContext } from '../context.ts';
import { hostOwner, type Owner, type Remap, remapOf } from '../remap/index.ts';
import type { Container } from './container.ts';
import { mountIDMap } from './id-map.ts';
import { sharesMounts } from './planned-mount.ts';
import type { PlannedMount } from './record.ts';

type Place = Pick<EngineContext, 'execRoot'>;
type Mounting = Place & Pick<EngineContext, 'remap' | 'volumes'>;

const allFolder = (ctx: Place) => join(ctx.execRoot, 'binds');
/** Below it all is unmounted and gone with {@link releaseMounts}, or when the next daemon starts. */
export const heldFolder = (ctx: Place, id: string) => join(allFolder(ctx), id);

/**
 * What an OCI runtime cannot mount by itself is mounted here first, and given to it as a plain bind: part of a volume or image, found by descriptor so that nobody
 * can swap a link in it, and a bind without what is mounted below its source. Answers the places by destination.
 * @throws in Docker's words when a part is not there or leads out of its volume.
 */
export function holdMounts(ctx: Mounting, container: Container, user: Owner): ReadonlyMap<string, string> {
  const held = new Map<string, string>();
  const remap = remapOf(ctx, container.body.hostConfig);
  for (const [number, mount] of container.body.mounts.entries()) {
    if (!isHeld(mount, remap !== undefined)) continue;
    const target = join(heldFolder(ctx, container.id), `${number}${isShared(mount) ? sharedSuffix : ''}`);
    mkdirSync(heldFolder(ctx, container.id), { recursive: true, mode: 0o700 });
    withSource(mount, (source) => {
      makeMountPoint(source, target);
      // What is mounted there in the container is to be mounted at the source.
      if (isShared(mount)) sys.mount(source, target, '', mountFlags.bind, '');
      else placeMount(ctx, mount, { source, target }, { remap, user });
    });
    held.set(mount.destination, target);
  }
  return held;
}

/** One of something that is there already. */
export type PlacedMount = Exclude<PlannedMount, { kind: 'tmpfs' }>;

function isHeld(mount: PlannedMount, remapped: boolean): mount is PlacedMount {
  if (mount.kind === 'image') return mount.subpath !== undefined;
  return mount.kind === 'volume'
    ? remapped || mount.subpath !== undefined
    : mount.kind === 'bind' && (!mount.recursive || mount.idmap === true);
}

/** A volume whose files are kept here, under the IDs its containers know: not one that is mounted from elsewhere. */
function isOwnStorage(ctx: Pick<EngineContext, 'volumes'>, volume: string): boolean {
  return !ctx.volumes.find(volume)?.options?.['device'];
}

export const hasHeldMounts = (ctx: Place, { id, body }: Container): boolean =>
  body.mounts.length > 0 && existsSync(heldFolder(ctx, id));

/** Tells after a crash, too, which of them do. */
const sharedSuffix = '-shared';
const isShared = (mount: PlannedMount) => mount.kind === 'bind' && sharesMounts(mount.propagation);

/** Absent is fine. */
export async function releaseMounts(ctx: Place, id: string): Promise<void> {
  const folder = heldFolder(ctx, id);
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

/** Mounts one where it is to be seen; nothing of it shares with its source. */
export function placeMount(
  ctx: Mounting,
  mount: PlacedMount,
  { source, target }: { source: string; target: string },
  { remap, user, readOnly }: { remap: Remap | undefined; user: Owner; readOnly?: boolean },
): void {
  if (mount.kind === 'bind' && mount.idmap) {
    const owner = statSync(source);
    const shown = remap ? hostOwner(remap.mapping, user) : user;
    const userNamespace = sys.openUserNamespace(mountIDMap(owner.uid, shown.uid), mountIDMap(owner.gid, shown.gid));
    try {
      mountCloneMapped(source, target, { ...bindOptions(mount), userNamespace, readOnly });
    } finally {
      sys.close(userNamespace);
    }
    return;
  }
  const isOwn = mount.kind === 'volume' && isOwnStorage(ctx, mount.name);
  const userNamespace = isOwn ? remap?.userNamespace : undefined;
  const options = mount.kind === 'bind' ? bindOptions(mount) : { recursive: true };
  mountCloneMapped(source, target, { ...options, userNamespace, readOnly });
}

const bindOptions = ({ recursive, propagation }: Extract<PlannedMount, { kind: 'bind' }>) => ({
  recursive,
  follows: propagation.endsWith('slave'),
});

/** What a mount shows, as a path that holds while `use` runs. A part is opened, so that nobody swaps a link in it meanwhile. */
export function withSource(mount: PlacedMount, use: (source: string) => void): void {
  if (mount.kind === 'bind') {
    if (!existsSync(mount.source)) mkdirSync(mount.source, { recursive: true });
    use(mount.source);
    return;
  }
  const root = openSync(mount.source, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    const fd = openPart(root, mount.source, mount.subpath ?? '.');
    try {
      use(`/proc/self/fd/${fd}`);
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
