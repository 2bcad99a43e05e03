import { createHash } from 'node:crypto';
import { chmod, chown } from 'node:fs/promises';
import type { CacheMountWish, HeldCacheMount } from '#builder';
import { EngineError } from '#errdefs';
import type { BuildCacheTable } from '#metadata';
import { openVolumes, type Volumes } from '#volume';
import { type SharedHold, SharedHolds } from './shared-holds.ts';
import { CacheMountTable, cacheKeyOf, nameOfKey } from './table.ts';

/**
 * Folders of `RUN --mount=type=cache`: local volumes of their own, below `cache-mounts/`, whose rows are records of the build cache. So `df` lists them
 * and a prune removes them, as BuildKit's records of type `exec.cachemount`.
 */
export class CacheMounts {
  readonly #folders: Volumes;
  readonly #records: BuildCacheTable;
  readonly #holds = new SharedHolds();

  private constructor(folders: Volumes, records: BuildCacheTable) {
    this.#folders = folders;
    this.#records = records;
  }

  static async open(root: string, records: BuildCacheTable): Promise<CacheMounts> {
    return new CacheMounts(await openVolumes({ root, table: new CacheMountTable(records) }), records);
  }

  /** Lends a folder; made, with its owner and mode or its seed, for the first build that asks. */
  async lend(wish: CacheMountWish, options: { signal: AbortSignal }): Promise<HeldCacheMount> {
    const { name, hold } = await this.#hold(wish, options.signal);
    try {
      const path = await this.#folder(name, wish, options.signal);
      await this.#records.touch(cacheKeyOf(name), Date.now());
      return { path, name, [Symbol.asyncDispose]: async () => hold[Symbol.dispose]() };
    } catch (error) {
      hold[Symbol.dispose]();
      throw error;
    }
  }

  /**
   * Lends again, by its name, what a build had; made empty when it was pruned since.
   * @throws `conflict` when a build has it and does not share it
   */
  async lendAgain(name: string, wish: Omit<CacheMountWish, 'seed'>): Promise<HeldCacheMount> {
    const hold = this.#holds.tryHold(name, wish.sharing === 'shared' ? 'together' : 'alone');
    if (!hold) throw new EngineError('conflict', `cache mount ${wish.id} is in use by a build`);
    try {
      const path = await this.#folder(name, wish, new AbortController().signal);
      return { path, name, [Symbol.asyncDispose]: async () => hold[Symbol.dispose]() };
    } catch (error) {
      hold[Symbol.dispose]();
      throw error;
    }
  }

  /** Whether a build has the folder now. */
  isHeld(key: string): boolean {
    return this.#holds.isHeld(nameOfKey(key));
  }

  /** Bytes of the files in it, each counted once. */
  async usageBytes(key: string): Promise<number> {
    return await this.#folders.usageBytes(nameOfKey(key));
  }

  /** Answers false for one that a build has. */
  async remove(key: string): Promise<boolean> {
    const name = nameOfKey(key);
    using hold = this.#holds.tryHold(name, 'alone');
    if (!hold) return false;
    if (this.#folders.find(name)) await this.#folders.remove(name);
    return true;
  }

  async recover(): Promise<void> {
    await this.#folders.recover();
  }

  verify(): AsyncIterable<string> {
    return this.#folders.verify();
  }

  async #hold(wish: CacheMountWish, signal: AbortSignal): Promise<{ name: string; hold: SharedHold }> {
    if (wish.sharing !== 'private') {
      const name = nameOf(wish, 0);
      return { name, hold: await this.#holds.hold(name, wish.sharing === 'locked' ? 'alone' : 'together', signal) };
    }
    for (let number = 0; ; number++) {
      const name = nameOf(wish, number);
      const hold = this.#holds.tryHold(name, 'alone');
      if (hold) return { name, hold };
    }
  }

  async #folder(name: string, wish: CacheMountWish, signal: AbortSignal): Promise<string> {
    const isNew = this.#folders.find(name) === undefined;
    const labels = { id: wish.id, description: wish.description };
    const { mountpoint } = await this.#folders.create({ name, labels });
    if (isNew) {
      await chown(mountpoint, wish.uid, wish.gid);
      await chmod(mountpoint, wish.mode & 0o7777);
    }
    if (wish.seed && !(await this.#folders.populate(name, wish.seed.folder, { signal })) && isNew) {
      throw new EngineError('invalid-argument', `cache mount ${wish.id}: its source is no folder`);
    }
    return mountpoint;
  }
}

/** Equal for equal folders: the ID, what it started with, and which of several private ones. */
function nameOf(wish: CacheMountWish, number: number): string {
  return createHash('sha256')
    .update(JSON.stringify([wish.id, wish.seed?.identity ?? '', number]))
    .digest('hex');
}
