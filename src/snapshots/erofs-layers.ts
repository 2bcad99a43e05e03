import { mkdir, rmdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { EngineError, isErrno } from '#errdefs';
import { log } from '#log';
import { CountedMounts, type ErofsBacking, mountErofs, mountsBelow, unmount } from '#mount';
import { chainIDs, type DiffID } from '#oci';
import { IndexStore, rootOf } from './index-store.ts';
import type { LayerIndex } from './layer-index.ts';
import type { HeldLayers, LayerStore } from './layer-store.ts';
import { PlacedIndexes } from './placed-indexes.ts';
import type { Chain, SnapshotUsage, VerifyOptions } from './types.ts';
import type { SnapshotWorkers } from './workers.ts';

export interface ErofsLayersOptions {
  readonly root: string;
  readonly runRoot: string;
  readonly contentPath: (diffID: DiffID) => string;
  readonly backing: ErofsBacking;
  readonly directIO?: boolean;
  readonly workers: SnapshotWorkers;
}

/** Layers as the tars they came in, mounted under their indexes. Mounts are shared by all snapshots and stay while idle. */
export class ErofsLayers implements LayerStore {
  /** Deep chains are merged. */
  readonly maxDepth = Number.POSITIVE_INFINITY;
  readonly #options: ErofsLayersOptions;
  readonly #indexes: IndexStore;
  readonly #placed: PlacedIndexes;
  readonly #mounts: CountedMounts;

  constructor(options: ErofsLayersOptions) {
    this.#options = options;
    this.#indexes = new IndexStore(options);
    this.#placed = new PlacedIndexes(options);
    this.#mounts = new CountedMounts({ keepIdle: true, unmount: (target) => this.#unmountTarget(target) });
  }

  async load(): Promise<void> {
    await mkdir(this.#mountsFolder, { recursive: true, mode: 0o700 });
    await this.#indexes.load();
    for (const { target } of mountsBelow(this.#mountsFolder)) this.#mounts.adopt(target);
  }

  get #mountsFolder(): string {
    return join(this.#options.runRoot, 'layers');
  }

  async unpack(chain: Chain, options: { signal?: AbortSignal | undefined } = {}): Promise<void> {
    await this.#indexes.stack(chain, options.signal);
  }

  async hold(chain: Chain): Promise<HeldLayers> {
    const indexes = await this.#indexes.stack(chain, undefined);
    const held: string[] = [];
    const release = async () => {
      for (const target of held.splice(0)) await this.#mounts.release(target);
    };
    try {
      for (const index of indexes) {
        const target = this.#target(index.path);
        await this.#mounts.hold(target, () => this.#mount(index, target));
        held.push(target);
      }
    } catch (error) {
      await release();
      throw error;
    }
    return {
      folders: held.toReversed(),
      rootAttributes: () => rootOf(indexes),
      [Symbol.asyncDispose]: release,
    };
  }

  async places(chain: Chain): Promise<readonly string[]> {
    const indexes = await this.#indexes.stack(chain, undefined);
    return indexes.map(({ path }) => this.#target(path)).toReversed();
  }

  #target(indexPath: string): string {
    return join(this.#mountsFolder, basename(indexPath, '.erofs'));
  }

  async #mount(index: LayerIndex, target: string): Promise<void> {
    const { path, devices } = await this.#placed.of(index);
    await mkdir(target, { recursive: true, mode: 0o755 });
    const { backing, directIO = false, contentPath } = this.#options;
    await mountErofs({ image: path, devices: devices.map(contentPath), target, directIO }, backing);
  }

  async remove(diffID: DiffID): Promise<void> {
    for (const path of this.#indexes.pathsThrough(diffID)) {
      const target = this.#target(path);
      if (this.#mounts.has(target) && !(await this.#mounts.drop(target)))
        throw new EngineError('conflict', `remove layer ${diffID}: a snapshot uses it`);
      await this.#placed.remove(path);
    }
    await this.#indexes.remove(diffID);
  }

  async letGo(diffID: DiffID): Promise<void> {
    for (const path of this.#indexes.pathsThrough(diffID)) await this.#mounts.drop(this.#target(path));
  }

  usage(diffID: DiffID): Promise<SnapshotUsage> {
    return this.#indexes.usage(diffID);
  }

  indexes(chain: Chain, signal: AbortSignal | undefined): Promise<readonly string[]> {
    return this.#indexes.paths(chain, signal);
  }

  async recover(keep: ReadonlySet<DiffID>, mounted: readonly Chain[]): Promise<void> {
    const used = mounted.flatMap((chain) => this.#indexes.pathsOf(chain, chainIDs(chain)));
    await this.#dropIdle(new Set(used.map((path) => this.#target(path))));
    await this.#placed.clear();
    await this.#indexes.recover(keep);
  }

  async #dropIdle(keep: ReadonlySet<string>): Promise<void> {
    for (const target of this.#mounts.targets()) {
      if (!keep.has(target)) await this.#mounts.drop(target);
    }
  }

  async *verify(layers: readonly DiffID[], options?: VerifyOptions): AsyncGenerator<string> {
    yield* this.#indexes.verify(layers, options);
    yield* this.#placed.verify(layers, options);
  }

  /** Mounts under snapshots that live on stay: the page cache with them, for the next daemon. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#dropIdle(new Set());
  }

  /** Beside the event loop: the kernel lets go of the cached pages of a whole layer. */
  async #unmountTarget(target: string): Promise<void> {
    try {
      await this.#options.workers.run({ kind: 'unmount', target });
    } catch (error) {
      log.debug('unmount layer: trying again with patience', { target, error });
      await unmount(target);
    }
    try {
      await rmdir(target);
    } catch (error) {
      if (!isErrno(error, 'ENOENT')) log.warn('remove mount point failed', { target, error });
    }
  }
}
