import { closeSync, constants, openSync, unlinkSync, writeSync } from 'node:fs';
import { isErrno } from '#errdefs';

/**
 * What `crun start` does, without the process: its init waits for one byte through the fifo, whose absence then means "started".
 * False when there is no such fifo, or nobody waits behind it.
 */
export function openGate(path: string): boolean {
  let fd: number;
  try {
    fd = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
  } catch (error) {
    if (isErrno(error, 'ENOENT') || isErrno(error, 'ENXIO')) return false;
    throw error;
  }
  try {
    unlinkSync(path);
    writeSync(fd, Buffer.of(0));
    return true;
  } finally {
    closeSync(fd);
  }
}
