import { KeyedLock } from '#concurrency';
import { unmount } from './unmount.ts';

/**
 * Mounts with holders. The first hold of a target mounts it; the last release unmounts it, unless the set keeps idle mounts,
 * which then stay for the next holder until `drop`. Calls for one target take turns.
 */
export class CountedMounts {
  readonly #holders = new Map<string, number>();
  readonly #locks = new KeyedLock();
  readonly #keepIdle: boolean;
  readonly #unmountTarget: (target: string) => Promise<unknown>;

  constructor(options: { keepIdle?: boolean; unmount?: (target: string) => Promise<unknown> } = {}) {
    this.#keepIdle = options.keepIdle ?? false;
    this.#unmountTarget = options.unmount ?? unmount;
  }

  /** Mounted, held or idle. */
  has(target: string): boolean {
    return this.#holders.has(target);
  }

  isHeld(target: string): boolean {
    return (this.#holders.get(target) ?? 0) > 0;
  }

  targets(): string[] {
    return [...this.#holders.keys()];
  }

  /** Takes one hold; `make` mounts when nobody did. A failure of `make` leaves no hold. */
  async hold(target: string, make: () => void | Promise<void>): Promise<void> {
    using _ = await this.#locks.acquire(target);
    if (!this.#holders.has(target)) await make();
    this.#holders.set(target, (this.#holders.get(target) ?? 0) + 1);
  }

  /** Counts in a mount that was there before this process, without a holder. */
  adopt(target: string): void {
    if (!this.#holders.has(target)) this.#holders.set(target, 0);
  }

  /** Gives one hold back. Releasing what nobody holds is a bug of the caller. */
  async release(target: string): Promise<void> {
    using _ = await this.#locks.acquire(target);
    const holders = this.#holders.get(target) ?? 0;
    if (holders === 0) throw new Error(`release ${target}: nobody holds it`);
    if (holders > 1 || this.#keepIdle) this.#holders.set(target, holders - 1);
    else await this.#unmount(target);
  }

  /** Unmounts an idle mount; false when somebody holds it. Absent is fine. */
  async drop(target: string): Promise<boolean> {
    using _ = await this.#locks.acquire(target);
    if (this.isHeld(target)) return false;
    if (this.#holders.has(target)) await this.#unmount(target);
    return true;
  }

  /** Unmounts whoever holds it. */
  async force(target: string): Promise<void> {
    using _ = await this.#locks.acquire(target);
    await this.#unmount(target);
  }

  async #unmount(target: string): Promise<void> {
    await this.#unmountTarget(target);
    this.#holders.delete(target);
  }
}
