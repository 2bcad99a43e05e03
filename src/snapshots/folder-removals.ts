import { opendir, rm } from 'node:fs/promises';
import { log } from '#log';
import type { SnapshotWorkers } from './workers.ts';

/** A thread costs more than the removal of so many. */
const fewFiles = 256;

/** Folders out of sight already, whose files go while others go on. */
export class FolderRemovals {
  readonly #workers: SnapshotWorkers;
  readonly #running = new Set<Promise<void>>();

  constructor(workers: SnapshotWorkers) {
    this.#workers = workers;
  }

  begin(folder: string): void {
    const removal = this.#remove(folder)
      .catch((error: unknown) => log.warn('remove snapshot files failed', { folder, error }))
      .finally(() => this.#running.delete(removal));
    this.#running.add(removal);
  }

  /** Resolves when what has begun is over. */
  async settled(): Promise<void> {
    await Promise.all(this.#running);
  }

  /** Many files in the pool's threads would keep every other file operation of the daemon waiting: they get a thread of their own. */
  async #remove(folder: string): Promise<void> {
    if (await holdsFewer(folder, fewFiles)) await rm(folder, { recursive: true, force: true });
    else await this.#workers.run({ kind: 'remove-tree', path: folder });
  }
}

async function holdsFewer(folder: string, limit: number): Promise<boolean> {
  let found = 0;
  for await (const _ of await opendir(folder, { recursive: true })) if (++found >= limit) return false;
  return true;
}
