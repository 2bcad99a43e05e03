import { closeSync, constants, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { isErrno } from '#errdefs';

const resizeEvent = 1;
const reopenLogEvent = 2;

/** What conmon is told over its `ctl` fifo. Nobody there to read means that the process is gone. */
export function sendResize(folder: string, rows: number, columns: number): void {
  writeFifo(join(folder, 'ctl'), `${resizeEvent} ${rows} ${columns}\n`);
}

/** conmon closes its log and puts a new file at the log's path. False when there is no conmon. */
export function sendReopenLog(folder: string): boolean {
  return writeFifo(join(folder, 'ctl'), `${reopenLogEvent} 0 0\n`);
}

/** Without waiting for a reader. */
function writeFifo(path: string, text: string): boolean {
  try {
    const fd = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
    try {
      writeSync(fd, text);
    } finally {
      closeSync(fd);
    }
    return true;
  } catch (error) {
    if (isErrno(error, 'ENXIO') || isErrno(error, 'ENOENT')) return false;
    throw error;
  }
}
