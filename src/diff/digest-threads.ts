import { Bell } from '#concurrency';
import { takesTwoAsOne } from '#oci';
import type { Finding, Follower, Following } from './digest-protocol.ts';
import { DigestThread } from './digest-thread.ts';

const idleMs = 5000;

/**
 * The threads that hash files behind their writers: as many as there are files, or, where one thread hashes two files at once nearly as quickly as one, half
 * as many. They start with their first file and end when nothing was followed for a while.
 */
export class DigestThreads implements Follower, AsyncDisposable {
  readonly #bell = new Bell();
  readonly #filesPerThread = takesTwoAsOne() ? 2 : 1;
  readonly #threads = new Set<DigestThread>();
  #idle: NodeJS.Timeout | undefined;

  get bell(): SharedArrayBuffer {
    return this.#bell.memory;
  }

  async follow(following: Following): Promise<Finding> {
    clearTimeout(this.#idle);
    try {
      return await this.#choose().follow(following);
    } finally {
      if ([...this.#threads].every(({ load }) => load === 0)) this.#endLater();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.#idle);
    const threads = [...this.#threads];
    this.#threads.clear();
    await Promise.all(threads.map((thread) => thread.terminate()));
  }

  /** One that has a file already, if it may have another: two together take less than each alone. */
  #choose(): DigestThread {
    for (const thread of this.#threads) if (thread.isDead) this.#threads.delete(thread);
    const free = [...this.#threads].filter(({ load }) => load < this.#filesPerThread);
    const [busiest] = free.sort((a, b) => b.load - a.load);
    if (busiest) return busiest;
    const thread = new DigestThread(this.bell);
    this.#threads.add(thread);
    return thread;
  }

  #endLater(): void {
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => void this[Symbol.asyncDispose](), idleMs);
    this.#idle.unref();
  }
}
