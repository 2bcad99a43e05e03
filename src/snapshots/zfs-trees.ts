import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { EngineError, isErrno, messageOf } from '#errdefs';
import { removeIfPresent, writeAtomic } from '#files';
import { log } from '#log';
import { readMountTable } from '#mount';
import { missingTools } from './tools.ts';
import type { Trees } from './trees.ts';
import type { SnapshotWorkers } from './workers.ts';

/** Runs a command to its end and answers what it wrote. */
export type RunCommand = (command: string, ...args: readonly string[]) => Promise<string>;

const execute = promisify(execFile);
const runCommand: RunCommand = async (command, ...args) => (await execute(command, args)).stdout;

/** What trees are below: not mounted itself, and what it is set to holds for them. */
const parentOptions = ['mountpoint=none', 'canmount=off', 'atime=off', 'xattr=sa', 'acltype=posixacl'];
/** Beside a tree: the name of its dataset. */
const recordEnd = '.zfs';

/** Why this machine cannot, before anything is tried; undefined when it may. */
export function zfsRefusal(device = '/dev/zfs'): string | undefined {
  const missing = missingTools(['zfs', 'zpool']);
  if (missing !== undefined) return missing;
  return existsSync(device) ? undefined : `${device} is missing: the kernel has no zfs module loaded`;
}

/**
 * Datasets, and clones of snapshots of them. Each tree is a dataset of a name of its own below that of the data root, mounted where the tree is; beside it
 * is written which. A record comes before its dataset, and what has no record is destroyed by the next start.
 */
export class ZfsTrees implements Trees {
  readonly name = 'zfs';
  readonly shares = true;
  readonly #run: RunCommand;
  readonly #workers: Pick<SnapshotWorkers, 'run'>;
  /** Of the data root. */
  readonly #dataset: string;
  /** Nothing is left of them but that others are clones of them. */
  readonly #doomed = new Set<string>();

  private constructor(dataset: string, workers: Pick<SnapshotWorkers, 'run'>, run: RunCommand) {
    this.#dataset = dataset;
    this.#workers = workers;
    this.#run = run;
  }

  /** @throws `failed-precondition` where the data root is on no dataset. */
  static async open(
    root: string,
    workers: Pick<SnapshotWorkers, 'run'>,
    run: RunCommand = runCommand,
  ): Promise<ZfsTrees> {
    const [dataset = '', type] = (await zfs(run, 'list', '-H', '-o', 'name,type', root)).trim().split('\t');
    if (type !== 'filesystem') throw new EngineError('failed-precondition', `${root} is on no dataset of zfs`);
    const trees = new ZfsTrees(dataset, workers, run);
    const options = parentOptions.flatMap((option) => ['-o', option]);
    await zfs(run, 'create', '-p', ...options, trees.#parent);
    return trees;
  }

  get #parent(): string {
    return `${this.#dataset}/wherry`;
  }

  /** Mounts the trees of these folders again, as after a restart of the machine, and destroys what no record names. */
  async recover(folders: readonly string[]): Promise<void> {
    const mounted = new Set(readMountTable().map(({ target }) => target));
    const kept = new Set<string>();
    for (const folder of folders) {
      for (const { path, dataset } of await recordsIn(folder)) {
        kept.add(dataset);
        if (mounted.has(path)) continue;
        await this.#mount(dataset, path).catch((error) => log.error('a tree could not be mounted', { path, error }));
      }
    }
    const listed = await zfs(this.#run, 'list', '-H', '-o', 'name', '-r', '-d', '1', this.#parent);
    const all = listed.split('\n').filter((name) => name.startsWith(`${this.#parent}/`));
    for (const dataset of all) if (!kept.has(dataset)) await this.#destroy(dataset);
  }

  async create(path: string): Promise<void> {
    const dataset = await this.#record(path);
    await zfs(this.#run, 'create', '-o', 'mountpoint=legacy', dataset);
    await this.#mount(dataset, path);
  }

  /** The snapshot in between goes with the clone. */
  async clone(source: string, path: string, { signal }: { signal?: AbortSignal | undefined } = {}): Promise<void> {
    signal?.throwIfAborted();
    const dataset = await this.#record(path);
    const snapshot = `${await datasetOf(source)}@${dataset.slice(this.#parent.length + 1)}`;
    await zfs(this.#run, 'snapshot', snapshot);
    try {
      await zfs(this.#run, 'clone', '-o', 'mountpoint=legacy', snapshot, dataset);
    } finally {
      await zfs(this.#run, 'destroy', '-d', snapshot);
    }
    await this.#mount(dataset, path);
  }

  async remove(folder: string): Promise<void> {
    for (const { path, dataset } of await recordsOf(folder)) {
      await this.#run('umount', path).catch(() => {});
      await this.#destroy(dataset);
      await removeIfPresent(`${path}${recordEnd}`);
    }
    await this.#workers.run({ kind: 'remove-tree', path: folder });
  }

  async settled(): Promise<void> {
    await this.#run('zpool', 'wait', '-t', 'free', this.#dataset.split('/')[0]!);
  }

  sizeLimitRefusal(): undefined {
    return undefined;
  }

  /** Of what the tree has by itself: what it shares with its image does not count. */
  async limit(path: string, sizeBytes: number): Promise<void> {
    await zfs(this.#run, 'set', `quota=${sizeBytes}`, await datasetOf(path));
  }

  async #record(path: string): Promise<string> {
    const dataset = `${this.#parent}/${randomBytes(12).toString('hex')}`;
    await writeAtomic(`${path}${recordEnd}`, dataset);
    return dataset;
  }

  async #mount(dataset: string, path: string): Promise<void> {
    await mkdir(path, { recursive: true, mode: 0o755 });
    await this.#run('mount', '-t', 'zfs', dataset, path);
  }

  /** One that others were cloned from goes after them. */
  async #destroy(dataset: string): Promise<void> {
    this.#doomed.add(dataset);
    for (let before = -1; before !== this.#doomed.size; ) {
      before = this.#doomed.size;
      for (const doomed of [...this.#doomed]) if (await this.#isDestroyed(doomed)) this.#doomed.delete(doomed);
    }
  }

  async #isDestroyed(dataset: string): Promise<boolean> {
    try {
      await zfs(this.#run, 'destroy', dataset);
      return true;
    } catch (error) {
      if (/dataset does not exist/.test(messageOf(error))) return true;
      if (!/dependent clones|dataset is busy/.test(messageOf(error))) throw error;
      return false;
    }
  }
}

async function zfs(run: RunCommand, ...args: readonly string[]): Promise<string> {
  try {
    return await run('zfs', ...args);
  } catch (error) {
    throw new EngineError('internal', `zfs ${args[0]}: ${messageOf(error)}`, { cause: error });
  }
}

interface TreeRecord {
  readonly path: string;
  readonly dataset: string;
}

async function datasetOf(path: string): Promise<string> {
  return (await readFile(`${path}${recordEnd}`, 'utf8')).trim();
}

/** Of the trees in a folder. */
async function recordsOf(folder: string): Promise<TreeRecord[]> {
  const found: TreeRecord[] = [];
  for (const name of await namesIn(folder)) {
    if (!name.endsWith(recordEnd)) continue;
    const path = join(folder, name.slice(0, -recordEnd.length));
    found.push({ path, dataset: await datasetOf(path) });
  }
  return found;
}

/** Of the trees in the folders of a folder. */
async function recordsIn(folder: string): Promise<TreeRecord[]> {
  const names = await namesIn(folder);
  return (await Promise.all(names.map((name) => recordsOf(join(folder, name))))).flat();
}

async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (isErrno(error, 'ENOENT') || isErrno(error, 'ENOTDIR')) return [];
    throw error;
  }
}
