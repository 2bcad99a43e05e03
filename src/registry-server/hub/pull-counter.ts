import { log } from '#log';
import type { Hub } from '../store/meta-store.ts';

const flushMs = 5_000;

/** Counts pulls in memory and writes them now and then: a pull does not wait for a disk. */
export class PullCounter implements AsyncDisposable {
  readonly #hub: Pick<Hub, 'addPulls'>;
  readonly #timer: NodeJS.Timeout;
  #counts = new Map<string, number>();

  constructor(hub: Pick<Hub, 'addPulls'>) {
    this.#hub = hub;
    this.#timer = setInterval(() => void this.flush(), flushMs).unref();
  }

  add(name: string): void {
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1);
  }

  async flush(): Promise<void> {
    if (this.#counts.size === 0) return;
    const counts = this.#counts;
    this.#counts = new Map();
    try {
      await this.#hub.addPulls(counts);
    } catch (error) {
      log.warn('counting pulls failed', { error });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await this.flush();
  }
}
