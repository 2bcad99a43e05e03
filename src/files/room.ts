import { isErrno } from '#errdefs';

/** Frees what can be spared; answers whether that was anything. */
export type MakeRoom = () => Promise<boolean>;

/** Room may come in steps; more than so many help nobody. */
const maxTries = 3;

/** True when a write found no space on the disk, or in a quota. */
export function isNoSpace(error: unknown): boolean {
  for (let at = error, depth = 0; at instanceof Error && depth < 16; at = at.cause, depth++) {
    if (isErrno(at, 'ENOSPC') || isErrno(at, 'EDQUOT')) return true;
  }
  return false;
}

/** Does work again when it found no space and `makeRoom` has made some. The work must leave nothing behind when it fails. */
export async function withRoom<T>(makeRoom: MakeRoom, work: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await work();
    } catch (error) {
      if (tries === maxTries || !isNoSpace(error) || !(await makeRoom())) throw error;
    }
  }
}
