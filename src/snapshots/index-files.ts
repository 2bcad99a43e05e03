import { randomBytes } from 'node:crypto';
import { rename, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { isErrno } from '#errdefs';
import { fsyncFolder } from '#files';

/** A fresh name beside an index, removed by the next start when it is left. */
export function temporaryIndex(path: string): string {
  return `${path}.${randomBytes(6).toString('hex')}.tmp`;
}

/** Puts an index, already synced, in place for good. */
export async function placeIndex(temporary: string, path: string): Promise<void> {
  await rename(temporary, path);
  await fsyncFolder(dirname(path));
}

/** Undefined when the file is not there. */
export async function fileSize(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}
