import { createHash } from 'node:crypto';
import { delay } from '#concurrency';
import { messageOf } from '#errdefs';
import { log } from '#log';
import { type Digest, digestAlgorithm, digestHex } from '#oci';
import type { Stores } from '../registry.ts';
import type { MetaStore, Page } from '../store/meta-store.ts';

/** Slow enough that pulls do not notice. */
const bytesPerSecond = 100 << 20;
/** A file that nothing links to may be about to be linked. */
const orphanAgeMs = 60 * 60_000;
const step = 1000;

export interface Damage {
  readonly digest: Digest;
  readonly problem: 'damaged' | 'missing';
  /** What cannot be pulled whole any more. */
  readonly affected: Awaited<ReturnType<MetaStore['affected']>>;
}

export interface ScrubReport {
  readonly started: string;
  readonly finished: string;
  readonly blobs: number;
  readonly bytes: number;
  readonly damaged: readonly Damage[];
  /** Files that nothing linked to (a crash between the two steps leaves them), removed. */
  readonly orphans: { readonly blobs: number; readonly bytes: number };
}

/** Rehashes every blob and looks whether every blob that is linked is there, in the background. */
export class Scrub implements AsyncDisposable {
  readonly #stores: Stores;
  readonly #abort = new AbortController();
  readonly #timer: NodeJS.Timeout | undefined;
  #running: Promise<ScrubReport> | undefined;
  #last: ScrubReport | undefined;

  constructor(stores: Stores, { everyMs }: { everyMs: number }) {
    this.#stores = stores;
    // Node knows no longer time than this.
    const intervalMs = Math.min(everyMs, 2 ** 31 - 1);
    this.#timer = everyMs === 0 ? undefined : setInterval(() => this.start(), intervalMs).unref();
  }

  get last(): ScrubReport | undefined {
    return this.#last;
  }

  get isRunning(): boolean {
    return this.#running !== undefined;
  }

  /** Unless one is under way. */
  start(): void {
    if (this.#running) return;
    this.#running = this.#run();
    this.#running
      .then((report) => {
        this.#last = report;
      })
      .catch((error: unknown) => {
        if (!this.#abort.signal.aborted) log.error('scrubbing failed', { error: messageOf(error) });
      })
      .finally(() => {
        this.#running = undefined;
      });
  }

  async #run(): Promise<ScrubReport> {
    const started = new Date().toISOString();
    const seen = { blobs: 0, bytes: 0 };
    const orphans = { blobs: 0, bytes: 0 };
    const damaged: Damage[] = [];
    for await (const { digest, sizeBytes, storedMs } of this.#stores.blobs.list()) {
      if (await this.#isOrphan(digest, storedMs)) {
        orphans.blobs++;
        orphans.bytes += sizeBytes;
        continue;
      }
      seen.blobs++;
      seen.bytes += sizeBytes;
      if (!(await this.#isWhole(digest))) damaged.push(await this.#damage(digest, 'damaged'));
    }
    damaged.push(...(await this.#missing()));
    const finished = new Date().toISOString();
    log.info('scrubbed all blobs', { ...seen, damaged: damaged.length, orphans: orphans.blobs });
    return { started, finished, ...seen, damaged, orphans };
  }

  async #isWhole(digest: Digest): Promise<boolean> {
    const { signal } = this.#abort;
    const hash = createHash(digestAlgorithm(digest));
    try {
      for await (const chunk of this.#stores.blobs.open(digest)) {
        hash.update(chunk);
        await delay((chunk.byteLength / bytesPerSecond) * 1000, { signal });
      }
    } catch (error) {
      signal.throwIfAborted();
      // Collected meanwhile is no damage.
      return (await this.#stores.blobs.stat(digest)) === undefined || rethrow(error);
    }
    return hash.digest('hex') === digestHex(digest);
  }

  /** Removed, when it is one. */
  async #isOrphan(digest: Digest, storedMs: number): Promise<boolean> {
    const { blobs, meta, locks } = this.#stores;
    if (storedMs > Date.now() - orphanAgeMs || (await meta.isHeld(digest))) return false;
    using _ = await locks.acquire(digest);
    return !(await meta.isHeld(digest)) && (await blobs.remove(digest));
  }

  async #missing(): Promise<Damage[]> {
    const { blobs, meta } = this.#stores;
    const damaged: Damage[] = [];
    for (let page: Page = { limit: step }; ; ) {
      const held = await meta.heldBlobs(page);
      for (const digest of held) {
        this.#abort.signal.throwIfAborted();
        if ((await blobs.stat(digest)) !== undefined || !(await meta.isHeld(digest))) continue;
        damaged.push(await this.#damage(digest, 'missing'));
      }
      if (held.length < step) return damaged;
      page = { after: held.at(-1), limit: step };
    }
  }

  async #damage(digest: Digest, problem: Damage['problem']): Promise<Damage> {
    const affected = await this.#stores.meta.affected(digest);
    for (const { repository, manifest, tags } of affected) {
      log.error(`a blob is ${problem}`, { digest, repository, manifest, tags: tags.join(' ') });
    }
    return { digest, problem, affected };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    this.#abort.abort();
    await this.#running?.catch(() => {});
  }
}

function rethrow(error: unknown): never {
  throw error;
}
