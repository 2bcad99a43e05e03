import { Semaphore } from './semaphore.ts';

/** One holder per key at a time; keys nobody holds or waits for cost nothing. */
export class KeyedLock {
  readonly #locks = new Map<string, { semaphore: Semaphore; users: number }>();

  async acquire(key: string, options: { signal?: AbortSignal | undefined } = {}): Promise<Disposable> {
    let lock = this.#locks.get(key);
    if (!lock) this.#locks.set(key, (lock = { semaphore: new Semaphore(1), users: 0 }));
    const entry = lock;
    entry.users++;
    try {
      const held = await entry.semaphore.acquire(options);
      let released = false;
      return {
        [Symbol.dispose]: () => {
          if (released) return;
          released = true;
          held[Symbol.dispose]();
          this.#leave(key, entry);
        },
      };
    } catch (error) {
      this.#leave(key, entry);
      throw error;
    }
  }

  isHeld(key: string): boolean {
    return this.#locks.has(key);
  }

  #leave(key: string, entry: { users: number }): void {
    if (--entry.users === 0) this.#locks.delete(key);
  }
}
