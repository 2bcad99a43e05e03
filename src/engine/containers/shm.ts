import { mkdirSync, readdirSync } from 'node:fs';
import { rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { isErrno } from '#errdefs';
import { mountsBelow, unmount } from '#mount';
import { mountFlags, sys } from '#sys';
import type { EngineContext } from '../context.ts';
import { remapOf, rootOf } from '../remap/index.ts';
import { defaultShmBytes } from './config.ts';
import type { Container } from './container.ts';

type Place = Pick<EngineContext, 'execRoot'>;

/** Where the /dev/shm of a container with a shareable IPC namespace is mounted for others to be given it. */
export function shmFolder(ctx: Place, id: string): string {
  return join(allFolder(ctx), id);
}

const allFolder = (ctx: Place) => join(ctx.execRoot, 'shm');

/** Makes the /dev/shm of a container that shares it, and answers its place. */
export function holdShm(ctx: Place & Pick<EngineContext, 'remap'>, { id, body }: Container): string {
  const folder = shmFolder(ctx, id);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  if (mountsBelow(folder).length > 0) return folder;
  const { noSuid, noDev, noExec } = mountFlags;
  const { uid, gid } = rootOf(remapOf(ctx, body.hostConfig)?.mapping);
  const size = body.hostConfig.ShmSize || defaultShmBytes;
  sys.mount('shm', folder, 'tmpfs', noSuid | noDev | noExec, `mode=1777,size=${size},uid=${uid},gid=${gid}`);
  return folder;
}

/** Containers that were given it keep it. Absent is fine. */
export async function releaseShm(ctx: Place, id: string): Promise<void> {
  const folder = shmFolder(ctx, id);
  await unmount(folder);
  await rmdir(folder).catch((error) => {
    if (!isErrno(error, 'ENOENT')) throw error;
  });
}

/** After a crash: those of containers that do not run. */
export async function releaseStrayShm(ctx: Place, running: ReadonlySet<string>): Promise<void> {
  for (const id of foldersIn(allFolder(ctx))) if (!running.has(id)) await releaseShm(ctx, id);
}

function foldersIn(path: string): string[] {
  try {
    return readdirSync(path);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return [];
    throw error;
  }
}
