import { once } from 'node:events';
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { Worker } from 'node:worker_threads';
import { cleanup, workerEntry } from '#concurrency';
import { EngineError, isErrno } from '#errdefs';
import { sys } from '#sys';
import { copyAttributes, isFolder } from './copy-tree.ts';

/** Beside `_data`: what is being copied. Left over by a crash it is removed at the next start. */
export const stagingName = '_populate';

/**
 * Copies into a folder beside the data and moves the entries over, so that a crash leaves a volume that is still empty and is filled again. The data folder
 * itself stays the one it is: a container may have it mounted.
 */
export async function populateFolder(
  { data, staging }: { data: string; staging: string },
  sourceFolder: string,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const source = statOrNone(sourceFolder);
  if (!source || !isFolder(source) || (await readdir(data)).length > 0) return false;
  if ((await readdir(sourceFolder)).length > 0) {
    try {
      await mkdir(staging, { mode: 0o700 });
      await copyInWorker(sourceFolder, staging, signal);
      await moveEntries(staging, data);
    } finally {
      await cleanup(staging, () => rm(staging, { recursive: true, force: true }));
    }
  }
  copyAttributes(Buffer.from(sourceFolder), Buffer.from(data), source);
  return true;
}

async function copyInWorker(from: string, to: string, signal: AbortSignal | undefined): Promise<void> {
  signal?.throwIfAborted();
  const worker = new Worker(workerEntry(import.meta.url, './populate.worker.ts'), { workerData: { from, to } });
  const exited = once(worker, 'exit');
  try {
    const [answer] = (await once(worker, 'message', signal ? { signal } : {})) as [{ ok: boolean; message: string }];
    if (!answer.ok) throw new EngineError('internal', `populate volume: ${answer.message}`);
  } finally {
    // The copy has ended before the staging folder goes.
    await worker.terminate();
    await exited;
  }
}

async function moveEntries(from: string, to: string): Promise<void> {
  for (const name of await readdir(from, { encoding: 'buffer' })) {
    const path = (folder: string) => Buffer.concat([Buffer.from(`${folder}/`), name]);
    await rename(path(from), path(to));
  }
}

function statOrNone(path: string) {
  try {
    return sys.lstat(path);
  } catch (error) {
    if (isErrno(error, 'ENOENT') || isErrno(error, 'ENOTDIR')) return undefined;
    throw error;
  }
}
