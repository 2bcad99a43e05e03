import { closeSync, constants, openSync, readdirSync, rmdirSync, unlinkSync } from 'node:fs';
import { isErrno } from '#errdefs';

/**
 * Removes what has a name in an open folder, with all below it; absent is fine. Every folder is opened without following symlinks and emptied by its
 * descriptor: a container that swaps a folder for a symlink meanwhile loses the symlink, and nothing outside is touched.
 */
export function removeBelow(folderFd: number, name: string): void {
  const target = Buffer.from(`/proc/self/fd/${folderFd}/${name}`, 'latin1');
  try {
    unlinkSync(target);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return;
    if (!isErrno(error, 'EISDIR') && !isErrno(error, 'EPERM')) throw error;
    empty(target);
    rmdirSync(target);
  }
}

function empty(folder: Buffer): void {
  const fd = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  try {
    for (const name of readdirSync(Buffer.from(`/proc/self/fd/${fd}`), { encoding: 'buffer' })) {
      removeBelow(fd, name.toString('latin1'));
    }
  } finally {
    closeSync(fd);
  }
}
