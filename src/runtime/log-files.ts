import { type FileHandle, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { delay, KeyedLock } from '#concurrency';
import { isErrno } from '#errdefs';
import { log } from '#log';

const reopenPollMs = 2;
const reopenTries = 500;

/** A log is files by age: `x.log` is written, `x.log.1` was before it. Their names change only under the lock of the log. */
const locks = new KeyedLock();

/** A log's files that are there, oldest first. */
export async function logFiles(path: string): Promise<string[]> {
  const prefix = `${basename(path)}.`;
  const names = await readdir(dirname(path)).catch((error: unknown) => {
    if (isErrno(error, 'ENOENT')) return [] as string[];
    throw error;
  });
  const numbers = names
    .filter((name) => name.startsWith(prefix) && /^\d+$/.test(name.slice(prefix.length)))
    .map((name) => Number(name.slice(prefix.length)));
  const older = numbers.sort((a, b) => b - a).map((number) => `${path}.${number}`);
  return names.includes(basename(path)) ? [...older, path] : older;
}

/** Opens what is newer than `after`, oldest first; everything without it, and when it is too old to be there. */
export async function openLogFiles(path: string, after?: FileHandle): Promise<FileHandle[]> {
  using _held = await locks.acquire(path);
  const paths = await logFiles(path);
  const from = after === undefined ? 0 : (await indexOf(paths, after)) + 1;
  const files: FileHandle[] = [];
  try {
    for (const one of paths.slice(from)) files.push(await open(one, 'r'));
    return files;
  } catch (error) {
    for (const file of files) await file.close();
    throw error;
  }
}

async function indexOf(paths: readonly string[], file: FileHandle): Promise<number> {
  const ours = await file.stat();
  const all = await Promise.all(paths.map((path) => stat(path)));
  return all.findIndex((one) => one.ino === ours.ino && one.dev === ours.dev);
}

/**
 * Sets the written file aside and has conmon begin a new one. Until then it writes to the one set aside, so nothing is lost; a
 * crash in between leaves a log whose newest file has a number, which {@link ensureWritten} puts right. `maxFiles` is two at least.
 */
export async function rotateLog(path: string, maxFiles: number, reopen: () => boolean): Promise<void> {
  using _held = await locks.acquire(path);
  for (const old of await logFiles(path)) {
    const number = Number(old.slice(path.length + 1) || 0);
    if (number >= maxFiles - 1) await rm(old, { force: true });
    else await rename(old, `${path}.${number + 1}`);
  }
  await begin(path, reopen);
}

/** After a crash in the middle of a rotation. */
export async function ensureWritten(path: string, reopen: () => boolean): Promise<void> {
  using _held = await locks.acquire(path);
  if (!(await exists(path))) await begin(path, reopen);
}

async function begin(path: string, reopen: () => boolean): Promise<void> {
  if (!reopen()) return;
  for (let tries = 0; tries < reopenTries; tries++) {
    if (await exists(path)) return;
    await delay(reopenPollMs);
  }
  log.warn('conmon has not begun a new log file', { path });
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
