/** At most `limit` holders at once, first come first served. */
export class Semaphore {
  #free: number;
  #waiting: { grant: () => void }[] = [];

  constructor(limit: number) {
    this.#free = limit;
  }

  /** Waits for a place; the returned holder gives it back when disposed. An abort leaves the queue with its reason. */
  async acquire(options: { signal?: AbortSignal | undefined } = {}): Promise<Disposable> {
    options.signal?.throwIfAborted();
    if (this.#free > 0) this.#free--;
    else await this.#queue(options.signal);
    let held = true;
    return {
      [Symbol.dispose]: () => {
        if (!held) return;
        held = false;
        const next = this.#waiting.shift();
        if (next) next.grant();
        else this.#free++;
      },
    };
  }

  #queue(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const entry = {
        grant: () => {
          signal?.removeEventListener('abort', leave);
          resolve();
        },
      };
      const leave = () => {
        this.#waiting = this.#waiting.filter((other) => other !== entry);
        reject(signal?.reason);
      };
      signal?.addEventListener('abort', leave, { once: true });
      this.#waiting.push(entry);
    });
  }
}
