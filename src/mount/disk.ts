import { execFile } from 'node:child_process';
import { open, rm } from 'node:fs/promises';
import { promisify } from 'node:util';
import { EngineError, isErrno, messageOf } from '#errdefs';
import { sys } from '#sys';
import { withLoops } from './loop.ts';

const run = promisify(execFile);

/** What ext4 keeps for itself: the journal, inode tables (a 256-byte inode for every 16 KiB), maps, superblocks. */
const journalMiB = 4;
const fixedBytes = 2 * journalMiB * 2 ** 20;
const share = 1.03;

/**
 * Makes a file that holds an empty file system with room for `sizeBytes` of data. It takes disk space as it fills.
 * @throws `failed-precondition` where there is no mkfs.ext4; `internal` with its words. Nothing is left behind.
 */
export async function makeDisk(path: string, sizeBytes: number): Promise<void> {
  const total = Math.ceil((sizeBytes * share + fixedBytes) / 4096) * 4096;
  try {
    await using file = await open(path, 'wx', 0o600);
    await file.truncate(total);
    const layout = ['-b', '4096', '-i', '16384', '-m', '0', '-J', `size=${journalMiB}`];
    await run('mkfs.ext4', ['-q', '-F', ...layout, '-E', 'nodiscard,lazy_itable_init=1,lazy_journal_init=1', path]);
  } catch (error) {
    await rm(path, { force: true });
    if (isErrno(error, 'ENOENT')) {
      throw new EngineError('failed-precondition', 'make disk: mkfs.ext4 is not installed', { cause: error });
    }
    throw new EngineError('internal', `make disk ${path}: ${messageOf(error)}`, { cause: error });
  }
}

/** Mounts such a file; what is deleted in it is given back to the file system it lies on. @throws `internal` with the kernel's words. */
export async function mountDisk(path: string, target: string): Promise<void> {
  try {
    await withLoops([path], { readOnly: false }, ([device]) =>
      sys.fsMount(
        'ext4',
        [
          ['source', device!],
          ['discard', null],
        ],
        target,
        0,
      ),
    );
  } catch (error) {
    throw new EngineError('internal', `mount disk on ${target}: ${messageOf(error)}`, { cause: error });
  }
}
