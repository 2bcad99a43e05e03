import { existsSync, rmSync } from 'node:fs';

/** Each removes something, so that many are only needed beside somebody who removes one file after the other. */
const maxTries = 10_000;

/**
 * Removes a folder with all in it, also while somebody else removes files of it: Node's `rmSync` with `force` ends at the first entry that is gone
 * when its turn comes, without a word, and leaves the rest. Absent is fine.
 */
export function removeFolder(path: string): void {
  for (let tries = 0; tries < maxTries; tries++) {
    rmSync(path, { recursive: true, force: true });
    if (!existsSync(path)) return;
  }
  throw new Error(`remove ${path}: somebody puts files into it`);
}
