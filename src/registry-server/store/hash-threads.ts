import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { workerEntry } from '#concurrency';
import { EngineError } from '#errdefs';
import type { DigestAlgorithm } from '#oci';

/** Each is answered, in order. `bytes` are of memory that both threads see. */
export type HashOrder = { readonly begin: DigestAlgorithm } | { readonly bytes: Uint8Array } | { readonly tell: true };
/** The digest so far where it was asked for. */
export type HashAnswer = string;

/** More would only take turns. */
const maxThreads = availableParallelism();
const idleMs = 10_000;

/** Threads that hash, for large uploads: each has one for as long as it lasts. */
export class HashThreads {
  readonly #idle: { thread: HashThread; timer: NodeJS.Timeout }[] = [];
  #busy = 0;

  /** Undefined while all are taken: who asked hashes in his own thread. */
  take(algorithm: DigestAlgorithm): HashThread | undefined {
    if (this.#busy >= maxThreads) return undefined;
    this.#busy++;
    const idle = this.#idle.pop();
    if (idle) clearTimeout(idle.timer);
    const thread = idle?.thread ?? new HashThread();
    void thread.begin(algorithm);
    return thread;
  }

  /** A thread that was taken, in whatever state. */
  giveBack(thread: HashThread): void {
    this.#busy--;
    if (thread.isDead) return;
    const entry = { thread, timer: setTimeout(() => this.#end(entry.thread), idleMs).unref() };
    this.#idle.push(entry);
  }

  #end(thread: HashThread): void {
    const at = this.#idle.findIndex((idle) => idle.thread === thread);
    if (at >= 0) this.#idle.splice(at, 1);
    thread.end();
  }
}

export class HashThread {
  readonly #worker = new Worker(workerEntry(import.meta.url, './upload-hash.worker.ts'));
  readonly #waiting: { resolve: (hex: string) => void; reject: (error: Error) => void }[] = [];
  isDead = false;

  constructor() {
    this.#worker.unref();
    this.#worker.on('message', (hex: HashAnswer) => this.#waiting.shift()?.resolve(hex));
    this.#worker.on('error', () => this.#die());
    this.#worker.on('exit', () => this.#die());
  }

  /** Forgets what it hashed before. */
  async begin(algorithm: DigestAlgorithm): Promise<void> {
    await this.#ask({ begin: algorithm });
  }

  /** Answers when the bytes are hashed; they must not change before. */
  async update(bytes: Uint8Array): Promise<void> {
    await this.#ask({ bytes });
  }

  /** The digest so far, in hex. */
  digest(): Promise<string> {
    return this.#ask({ tell: true });
  }

  end(): void {
    void this.#worker.terminate();
  }

  #ask(order: HashOrder): Promise<string> {
    if (this.isDead) return Promise.reject(ended());
    const answer = Promise.withResolvers<string>();
    // Who sends many awaits the last.
    answer.promise.catch(() => {});
    this.#waiting.push(answer);
    this.#worker.postMessage(order);
    return answer.promise;
  }

  #die(): void {
    this.isDead = true;
    for (const { reject } of this.#waiting.splice(0)) reject(ended());
  }
}

function ended(): EngineError {
  return new EngineError('internal', 'hash upload: its thread ended');
}
