import { opendir, rm } from 'node:fs/promises';
import { log } from '#log';
import type { SnapshotWorkers } from './workers.ts';

/** A thread costs more than the removal of so many. */
const fewFiles = 256;

/** Folders out of sight already, whose files go while others go on. */
export class FolderRemovals {
  readonly #workers: SnapshotWorkers;
  readonly #noteLarge: (folder: string) => Promise<void>;
  readonly #running = new Set<Promise<void>>();

  /** `noteLarge` is told of each folder with many files, before they go. */
  constructor(workers: SnapshotWorkers, noteLarge: (folder: string) => Promise<void>) {
    this.#workers = workers;
    this.#noteLarge = noteLarge;
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
    if (await holdsFewer(folder, fewFiles)) return await rm(folder, { recursive: true, force: true });
    await this.#noteLarge(folder);
    await this.#workers.run({ kind: 'remove-tree', path: folder });
  }
}

async function holdsFewer(folder: string, limit: number): Promise<boolean> {
  let found = 0;
  for await (const _ of await opendir(folder, { recursive: true })) if (++found >= limit) return false;
  return true;
}
