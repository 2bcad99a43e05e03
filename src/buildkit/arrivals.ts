import { EngineError } from '#errdefs';

/** Things by names that their makers chose, some asked for a moment before they are there. */
export class Arrivals<T> {
  readonly #here = new Map<string, T>();
  readonly #waiting = new Map<string, Set<(arrived: T) => void>>();
  readonly #waitMs: number;
  readonly #missing: (name: string) => string;

  constructor(waitMs: number, missing: (name: string) => string) {
    this.#waitMs = waitMs;
    this.#missing = missing;
  }

  has(name: string): boolean {
    return this.#here.has(name);
  }

  all(): Iterable<T> {
    return this.#here.values();
  }

  add(name: string, arrived: T): void {
    this.#here.set(name, arrived);
    for (const tell of this.#waiting.get(name) ?? []) tell(arrived);
  }

  delete(name: string): void {
    this.#here.delete(name);
  }

  /** @throws `not-found` when it does not come in time */
  async get(name: string, signal: AbortSignal): Promise<T> {
    const here = this.#here.get(name);
    if (here !== undefined) return here;
    const waiting = this.#waiting.get(name) ?? new Set();
    this.#waiting.set(name, waiting);
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const onAbort = () => reject(signal.reason);
    const timer = setTimeout(() => reject(new EngineError('not-found', this.#missing(name))), this.#waitMs);
    waiting.add(resolve);
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      signal.throwIfAborted();
      return await promise;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      waiting.delete(resolve);
      if (waiting.size === 0) this.#waiting.delete(name);
    }
  }
}
