import { log } from '#log';
import type { Digest } from '#oci';
import type { Stores } from './registry.ts';

const intervalMs = 5_000;

export interface Collected {
  readonly blobs: number;
  readonly bytes: number;
}

/**
 * Gives back the space of what was deleted, while pushes and pulls go on. A blob goes when no manifest refers to it (any more, and the time to
 * take the deletion back is over), nobody was told lately that it is there, and no repository links to it.
 */
export class Collector implements AsyncDisposable {
  readonly #stores: Stores;
  readonly #timer: NodeJS.Timeout;
  readonly #startedMs = Date.now();
  #running: Promise<Collected> | undefined;
  #total = { blobs: 0, bytes: 0 };

  constructor(stores: Stores) {
    this.#stores = stores;
    this.#timer = setInterval(() => void this.#tick(), Math.min(intervalMs, stores.retention.undoMs + 100)).unref();
  }

  /** Since the server started. */
  get total(): Collected {
    return this.#total;
  }

  async #tick(): Promise<void> {
    if (Date.now() - this.#startedMs < this.#stores.retention.quietMs) return;
    try {
      await this.collect();
    } catch (error) {
      log.error('collecting deleted blobs failed', { error });
    }
  }

  /** Once over all there is to do; a call while one is under way waits for that one. */
  collect(): Promise<Collected> {
    this.#running ??= this.#collect().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #collect(): Promise<Collected> {
    const { meta, claims, retention } = this.#stores;
    const nowMs = Date.now();
    claims.sweep(nowMs);
    const collected = { blobs: 0, bytes: 0 };
    const gone = await claims.whileDropping((mayDrop) =>
      meta.collect({
        nowMs,
        deletedBeforeMs: nowMs - retention.undoMs,
        isExpected: (name, digest) => !mayDrop(name, digest),
      }),
    );
    for (const digest of gone) {
      const sizeBytes = await this.#remove(digest);
      if (sizeBytes === undefined) continue;
      collected.blobs++;
      collected.bytes += sizeBytes;
    }
    this.#total = { blobs: this.#total.blobs + collected.blobs, bytes: this.#total.bytes + collected.bytes };
    if (collected.blobs > 0) log.info('removed blobs that nothing refers to', { ...collected });
    return collected;
  }

  /** Who links the blob holds the same lock. */
  async #remove(digest: Digest): Promise<number | undefined> {
    const { blobs, meta, locks } = this.#stores;
    using _ = await locks.acquire(digest);
    if (await meta.isHeld(digest)) return undefined;
    const sizeBytes = await blobs.stat(digest);
    return (await blobs.remove(digest)) ? sizeBytes : undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await this.#running?.catch(() => {});
  }
}
