import { Worker } from 'node:worker_threads';
import { Bell, workerEntry } from '#concurrency';
import { messageOf } from '#errdefs';
import type { Answer, Finding, Following, Order } from './digest-protocol.ts';

/** A thread that hashes files behind their writers, several at a time. */
export class DigestThread {
  readonly #worker: Worker;
  readonly #bell: Bell;
  readonly #waiting = new Map<number, (finding: Finding) => void>();
  #orders = 0;
  #fault: string | undefined;

  constructor(bell: SharedArrayBuffer) {
    this.#bell = new Bell(bell);
    this.#worker = new Worker(workerEntry(import.meta.url, './digest.worker.ts'), {
      workerData: bell,
      resourceLimits: { maxYoungGenerationSizeMb: 2 },
    });
    this.#worker.on('message', ({ id, finding }: Answer) => this.#answer(id, finding));
    this.#worker.on('error', (error) => this.#end(messageOf(error)));
    this.#worker.on('exit', () => this.#end('the thread ended'));
    this.#worker.unref();
  }

  /** Files in work. */
  get load(): number {
    return this.#waiting.size;
  }

  get isDead(): boolean {
    return this.#fault !== undefined;
  }

  follow(following: Following): Promise<Finding> {
    if (this.#fault !== undefined) return Promise.resolve({ digest: undefined, fault: this.#fault });
    const { promise, resolve } = Promise.withResolvers<Finding>();
    const id = ++this.#orders;
    this.#waiting.set(id, resolve);
    this.#worker.ref();
    this.#worker.postMessage({ id, following } satisfies Order);
    // It may be waiting for another file.
    this.#bell.ring();
    return promise;
  }

  async terminate(): Promise<void> {
    await this.#worker.terminate();
  }

  #answer(id: number, finding: Finding): void {
    this.#waiting.get(id)?.(finding);
    this.#waiting.delete(id);
    if (this.#waiting.size === 0) this.#worker.unref();
  }

  #end(fault: string): void {
    this.#fault ??= fault;
    for (const id of [...this.#waiting.keys()]) this.#answer(id, { digest: undefined, fault });
  }
}
