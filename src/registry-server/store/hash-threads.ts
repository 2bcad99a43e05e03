import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { workerEntry } from '#concurrency';
import { EngineError } from '#errdefs';
import { type Digest, type DigestAlgorithm, takesTwoAsOne } from '#oci';

export type HashOrder = { readonly id: number } & (
  | { readonly begin: DigestAlgorithm; readonly path: string }
  | { readonly writtenBytes: number; readonly isAsked: boolean }
  | { readonly end: true }
);
/** To who asked; a failure also to who has not yet. */
export type HashAnswer = { readonly id: number } & ({ readonly digest: Digest } | { readonly failure: string });

/** A file that a thread hashes behind its writer. */
export interface HashedFile {
  /** So many bytes are written, and will not change. */
  reach(writtenBytes: number): void;
  /** Of so many bytes, which are all that is written. */
  digest(writtenBytes: number): Promise<Digest>;
  end(): void;
}

const maxThreads = availableParallelism();
const idleMs = 10_000;

/** So many files take a thread little longer than one. */
const filesAtOnce = takesTwoAsOne() ? 2 : 1;

/** Threads that hash files which are still being written, as many as there are cores. */
export class HashThreads {
  readonly #threads: HashThread[] = [];

  /** By the thread that has the fewest, or room beside another. */
  follow(path: string, algorithm: DigestAlgorithm): HashedFile {
    const turns = ({ fileCount }: HashThread) => Math.floor(fileCount / filesAtOnce);
    const quietest = this.#threads.toSorted((a, b) => turns(a) - turns(b))[0];
    if (quietest && (turns(quietest) === 0 || this.#threads.length === maxThreads)) {
      return quietest.follow(path, algorithm);
    }
    const thread: HashThread = new HashThread(() => {
      const at = this.#threads.indexOf(thread);
      if (at >= 0) this.#threads.splice(at, 1);
    });
    this.#threads.push(thread);
    return thread.follow(path, algorithm);
  }
}

interface Followed {
  failure?: string;
  answer?: PromiseWithResolvers<Digest>;
}

class HashThread {
  readonly #worker = new Worker(workerEntry(import.meta.url, './hash.worker.ts'));
  readonly #files = new Map<number, Followed>();
  readonly #onGone: () => void;
  #lastID = 0;
  #idle: NodeJS.Timeout | undefined;

  /** `onGone`: no more files for it. */
  constructor(onGone: () => void) {
    this.#onGone = onGone;
    this.#worker.unref();
    this.#worker.on('message', (answer: HashAnswer) => this.#settle(answer));
    // The exit that follows tells who waits.
    this.#worker.on('error', () => {});
    this.#worker.on('exit', () => {
      onGone();
      for (const id of this.#files.keys()) this.#settle({ id, failure: 'its thread ended' });
    });
  }

  get fileCount(): number {
    return this.#files.size;
  }

  follow(path: string, algorithm: DigestAlgorithm): HashedFile {
    const id = ++this.#lastID;
    const file: Followed = {};
    clearTimeout(this.#idle);
    this.#files.set(id, file);
    this.#order({ id, begin: algorithm, path });
    return {
      reach: (writtenBytes) => this.#order({ id, writtenBytes, isAsked: false }),
      digest: (writtenBytes) => {
        if (file.failure !== undefined) return Promise.reject(failed(file.failure));
        file.answer = Promise.withResolvers();
        this.#order({ id, writtenBytes, isAsked: true });
        return file.answer.promise;
      },
      end: () => this.#end(id),
    };
  }

  #order(order: HashOrder): void {
    this.#worker.postMessage(order);
  }

  #settle(answer: HashAnswer): void {
    const file = this.#files.get(answer.id);
    if (!file) return;
    if ('digest' in answer) {
      file.answer?.resolve(answer.digest);
      return;
    }
    file.failure = answer.failure;
    file.answer?.reject(failed(answer.failure));
  }

  #end(id: number): void {
    if (!this.#files.delete(id)) return;
    this.#order({ id, end: true });
    if (this.#files.size > 0) return;
    this.#idle = setTimeout(() => {
      this.#onGone();
      void this.#worker.terminate();
    }, idleMs).unref();
  }
}

function failed(failure: string): EngineError {
  return new EngineError('internal', `hash upload: ${failure}`);
}
