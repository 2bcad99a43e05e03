import { log } from '#log';
import type { Digest } from '#oci';
import type { Hub, Manifests } from '../store/meta-store.ts';

const flushMs = 5_000;

/** Counts pulls in memory and writes them now and then: a pull does not wait for a disk. */
export class PullCounter implements AsyncDisposable {
  readonly #meta: Pick<Hub & Manifests, 'addPulls' | 'noteUse'>;
  readonly #timer: NodeJS.Timeout;
  #counts = new Map<string, number>();
  #used = new Map<string, Set<Digest>>();

  constructor(meta: Pick<Hub & Manifests, 'addPulls' | 'noteUse'>) {
    this.#meta = meta;
    this.#timer = setInterval(() => void this.flush(), flushMs).unref();
  }

  add(name: string, digest: Digest): void {
    const used = this.#used.get(name) ?? new Set();
    this.#used.set(name, used.add(digest));
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1);
  }

  async flush(): Promise<void> {
    if (this.#counts.size === 0) return;
    const counts = this.#counts;
    const used = this.#used;
    this.#counts = new Map();
    this.#used = new Map();
    try {
      await this.#meta.addPulls(counts);
      await this.#meta.noteUse(used);
    } catch (error) {
      log.warn('counting pulls failed', { error });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await this.flush();
  }
}
