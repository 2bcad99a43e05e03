import { delay } from '#concurrency';
import { isErrno } from '#errdefs';
import { log } from '#log';
import { sys, umountFlags } from '#sys';
import { mountsBelow } from './table.ts';

/** A process that is just exiting may hold a mount for some milliseconds more. */
const busyDelaysMs = [1, 5, 20, 50];

/**
 * Unmounts the topmost mount at `target`; false when nothing is mounted there. One that stays busy is detached: gone from the
 * tree at once, released by the kernel with its last user.
 */
export async function unmount(target: string): Promise<boolean> {
  for (const waitMs of [0, ...busyDelaysMs]) {
    if (waitMs > 0) await delay(waitMs);
    const outcome = tryUnmount(target, umountFlags.noFollow);
    if (outcome !== 'busy') return outcome === 'done';
  }
  log.warn('mount is busy, detaching it', { target });
  return tryUnmount(target, umountFlags.noFollow | umountFlags.detach) === 'done';
}

function tryUnmount(target: string, flags: number): 'done' | 'absent' | 'busy' {
  try {
    sys.umount(target, flags);
    return 'done';
  } catch (error) {
    // EINVAL: the path is there and no mount point.
    if (isErrno(error, 'EINVAL') || isErrno(error, 'ENOENT')) return 'absent';
    if (isErrno(error, 'EBUSY')) return 'busy';
    throw error;
  }
}

/** Unmounts all at and below `folder` that `keep` does not claim; answers how many there were. */
export async function unmountBelow(folder: string, keep: (target: string) => boolean = () => false): Promise<number> {
  let count = 0;
  for (const { target } of mountsBelow(folder)) {
    if (!keep(target) && (await unmount(target))) count++;
  }
  return count;
}
