import { mkdirSync, readdirSync } from 'node:fs';
import { chmod, chown, mkdir, rmdir, writeFile } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import type { FileOwner, LentFile } from '#builder';
import { cleanup } from '#concurrency';
import { isErrno } from '#errdefs';
import { unmount } from '#mount';
import { mountFlags, sys } from '#sys';
import type { EngineContext } from './context.ts';
import { newID, shortID } from './ids.ts';
import { hostOwner } from './remap/index.ts';

type Place = Pick<EngineContext, 'execRoot' | 'remap'>;

const allFolder = ({ execRoot }: Pick<Place, 'execRoot'>) => join(execRoot, 'lent');

/** What a build step is handed over for as long as it runs: a file in memory, never on a disk. */
export async function lendSecret(ctx: Place, content: Uint8Array, owner: FileOwner): Promise<LentFile> {
  return await lend(ctx, owner, async (folder) => {
    const path = join(folder, 'secret');
    await writeFile(path, content, { mode: 0o600, flag: 'wx' });
    await give(ctx, path, owner);
    return path;
  });
}

/** A socket whose connections are somebody else's to serve. */
export async function lendSocket(
  ctx: Place,
  onConnection: (socket: Socket) => void,
  owner: FileOwner,
): Promise<LentFile> {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    onConnection(socket);
  });
  const close = () => {
    server.close();
    for (const socket of sockets) socket.destroy();
  };
  return await lend(
    ctx,
    owner,
    async (folder) => {
      const path = join(folder, 'agent');
      await new Promise<void>((resolve, reject) => server.once('error', reject).listen(path, resolve));
      await give(ctx, path, owner);
      return path;
    },
    close,
  );
}

async function give({ remap }: Place, path: string, { uid, gid, mode }: FileOwner): Promise<void> {
  const owner = remap ? hostOwner(remap.mapping, { uid, gid }) : { uid, gid };
  await chown(path, owner.uid, owner.gid);
  await chmod(path, mode & 0o777);
}

async function lend(
  ctx: Place,
  { mode }: FileOwner,
  make: (folder: string) => Promise<string>,
  close = () => {},
): Promise<LentFile> {
  mkdirSync(allFolder(ctx), { recursive: true, mode: 0o711 });
  const folder = join(allFolder(ctx), shortID(newID()));
  const takeBack = async () => {
    close();
    await release(folder);
  };
  await mkdir(folder, { mode: 0o711 });
  try {
    const { noSuid, noDev, noExec } = mountFlags;
    sys.mount('tmpfs', folder, 'tmpfs', noSuid | noDev | (mode & 0o111 ? 0 : noExec), 'mode=711');
    const path = await make(folder);
    return { path, [Symbol.asyncDispose]: () => cleanup('lent file', takeBack) };
  } catch (error) {
    await cleanup('lent file', takeBack);
    throw error;
  }
}

async function release(folder: string): Promise<void> {
  await unmount(folder);
  await rmdir(folder);
}

/** After a crash: nothing runs that would use them. */
export async function releaseStrayLent(ctx: Pick<Place, 'execRoot'>): Promise<void> {
  for (const name of namesIn(allFolder(ctx))) await cleanup('lent file', () => release(join(allFolder(ctx), name)));
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return [];
    throw error;
  }
}
