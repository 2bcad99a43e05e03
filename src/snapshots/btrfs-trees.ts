import { execFile } from 'node:child_process';
import { access, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { EngineError, messageOf } from '#errdefs';
import { missingTools } from './tools.ts';
import type { Trees } from './trees.ts';
import type { SnapshotWorkers } from './workers.ts';

const run = promisify(execFile);

/** Subvolumes, and snapshots of them: made in no time, and their data is there once. */
export class BtrfsTrees implements Trees {
  readonly name = 'btrfs';
  readonly shares = true;
  readonly #root: string;
  readonly #workers: SnapshotWorkers;
  /** Resolved once the file system counts what subvolumes hold. */
  #quotas: Promise<void> | undefined;

  constructor(root: string, workers: SnapshotWorkers) {
    this.#root = root;
    this.#workers = workers;
  }

  async create(path: string): Promise<void> {
    await btrfs('subvolume', 'create', path);
  }

  async clone(source: string, path: string, { signal }: { signal?: AbortSignal | undefined } = {}): Promise<void> {
    signal?.throwIfAborted();
    await btrfs('subvolume', 'snapshot', source, path);
  }

  /** What the command refuses, such as a subvolume with others in it, goes file by file. */
  async remove(folder: string): Promise<void> {
    for (const name of await namesIn(folder)) await btrfs('subvolume', 'delete', join(folder, name)).catch(() => {});
    await this.#workers.run({ kind: 'remove-tree', path: folder });
  }

  async settled(): Promise<void> {
    await btrfs('subvolume', 'sync', this.#root);
  }

  sizeLimitRefusal(): string | undefined {
    return missingTools(['btrfs']);
  }

  /** Of what the tree has by itself: what it shares with its image does not count. */
  async limit(path: string, sizeBytes: number): Promise<void> {
    this.#quotas ??= this.#countQuotas();
    await this.#quotas;
    await btrfs('qgroup', 'limit', '-e', String(sizeBytes), path);
  }

  async #countQuotas(): Promise<void> {
    try {
      await btrfs('qgroup', 'show', this.#root);
    } catch {
      await btrfs('quota', 'enable', this.#root);
      await btrfs('quota', 'rescan', '-w', this.#root);
    }
  }
}

async function btrfs(...args: readonly string[]): Promise<void> {
  try {
    await run('btrfs', args);
  } catch (error) {
    throw new EngineError('internal', `btrfs ${args.slice(0, 2).join(' ')}: ${messageOf(error)}`, { cause: error });
  }
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    await access(folder);
    const entries = await readdir(folder, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  } catch {
    return [];
  }
}
