import { mkdir } from 'node:fs/promises';
import { noSizeLimit } from './names.ts';
import type { SnapshotWorkers } from './workers.ts';

/** How a driver of whole trees makes and removes them: a folder that holds all of a chain, or of a snapshot. */
export interface Trees {
  readonly name: 'vfs' | 'btrfs' | 'zfs';
  /** A clone shares its data with what it was made of. */
  readonly shares: boolean;
  /** An empty tree; the folder it is in is there. */
  create(path: string): Promise<void>;
  /** A tree that holds what `source` holds, a tree too. */
  clone(source: string, path: string, options?: { signal?: AbortSignal | undefined }): Promise<void>;
  /** Removes a folder with the trees in it. Absent is fine. */
  remove(folder: string): Promise<void>;
  /** Waits until the blocks of what was removed are free. */
  settled(): Promise<void>;
  sizeLimitRefusal(): string | undefined;
  /** What may be written to a tree from now on. */
  limit(path: string, sizeBytes: number): Promise<void>;
}

/** Plain copies. */
export class CopiedTrees implements Trees {
  readonly name = 'vfs';
  readonly shares = false;
  readonly #workers: SnapshotWorkers;

  constructor(workers: SnapshotWorkers) {
    this.#workers = workers;
  }

  async create(path: string): Promise<void> {
    await mkdir(path, { mode: 0o755 });
  }

  async clone(source: string, path: string, options: { signal?: AbortSignal | undefined } = {}): Promise<void> {
    await this.create(path);
    await this.#workers.run({ kind: 'copy-tree', source, target: path }, options);
  }

  async remove(folder: string): Promise<void> {
    await this.#workers.run({ kind: 'remove-tree', path: folder });
  }

  /** Removing waits for it here. */
  settled(): Promise<void> {
    return Promise.resolve();
  }

  sizeLimitRefusal(): string {
    return 'the vfs driver makes plain copies';
  }

  limit(path: string): Promise<void> {
    return Promise.reject(noSizeLimit(path, this.sizeLimitRefusal()));
  }
}
