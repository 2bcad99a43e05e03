import { randomBytes } from 'node:crypto';
import { cleanup } from '#concurrency';
import type { DiffID } from '#oci';
import type { SnapshotDriver } from '#snapshots';
import { DiskTree } from './disk-tree.ts';
import { emptyTree, type SourceTree } from './source-tree.ts';

/** Names that the start-up pass of the engine can tell from containers'. */
export function snapshotKey(): string {
  return `build-${randomBytes(8).toString('hex')}`;
}

/** Read-only trees of chains, mounted once per build and given back when it ends. */
export class Views implements AsyncDisposable {
  readonly #snapshots: SnapshotDriver;
  readonly #trees = new Map<string, Promise<DiskTree>>();
  readonly #keys: string[] = [];

  constructor(snapshots: SnapshotDriver) {
    this.#snapshots = snapshots;
  }

  /** The files of a chain of layers. Valid until the build ends. */
  async tree(chain: readonly DiffID[], options: { signal: AbortSignal }): Promise<SourceTree> {
    return chain.length === 0 ? emptyTree : await this.#mounted(chain, options);
  }

  /** Where a chain of at least one layer is mounted, read-only. Valid until the build ends. */
  async root(chain: readonly DiffID[], options: { signal: AbortSignal }): Promise<string> {
    return (await this.#mounted(chain, options)).root;
  }

  #mounted(chain: readonly DiffID[], options: { signal: AbortSignal }): Promise<DiskTree> {
    const name = chain.join();
    let tree = this.#trees.get(name);
    if (!tree) {
      tree = this.#mount(chain, options);
      this.#trees.set(name, tree);
      tree.catch(() => this.#trees.delete(name));
    }
    return tree;
  }

  async #mount(chain: readonly DiffID[], options: { signal: AbortSignal }): Promise<DiskTree> {
    await this.#snapshots.unpack(chain, options);
    options.signal.throwIfAborted();
    const key = snapshotKey();
    this.#keys.push(key);
    await this.#snapshots.view(key, chain);
    return new DiskTree((await this.#snapshots.mount(key)).root);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled(this.#trees.values());
    for (const key of this.#keys.splice(0)) await cleanup(`build view ${key}`, () => this.#snapshots.remove(key));
  }
}
