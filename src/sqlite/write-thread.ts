import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { EngineError, messageOf } from '#errdefs';
import type { FromThread, ToThread, WriteAnswer } from './protocol.ts';
import { fromWireError } from './wire-error.ts';

interface Waiting {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** This side of a database thread. The thread keeps the process alive only while a write is under way. */
export class WriteThread implements AsyncDisposable {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  #nextID = 1;
  #ended: EngineError | undefined;

  private constructor(worker: Worker) {
    this.#worker = worker;
    worker.on('message', (message: FromThread) => {
      if (message.kind === 'answers') this.#settle(message.answers);
    });
    worker.on('error', (error) => this.#end(`database thread failed: ${messageOf(error)}`));
    worker.on('exit', () => this.#end('the database is closed'));
  }

  /**
   * Starts the thread of a worker file that calls `serveWrites`; resolves when the database at `path` is open and migrated.
   * @throws as SQLite and the migrations do.
   */
  static async open(entry: URL, path: string): Promise<WriteThread> {
    const worker = new Worker(entry, {
      workerData: { path },
      resourceLimits: { maxOldGenerationSizeMb: 128, maxYoungGenerationSizeMb: 2 },
    });
    const [message] = (await once(worker, 'message')) as [FromThread];
    if (message.kind === 'failed') {
      await worker.terminate();
      throw fromWireError(message.error);
    }
    worker.unref();
    return new WriteThread(worker);
  }

  /** Runs one request as one transaction; when it resolves, every connection sees it. `durable: false`: a power cut may lose it, a crash may not. */
  run(request: unknown, options: { durable?: boolean } = {}): Promise<unknown> {
    if (this.#ended) return Promise.reject(this.#ended);
    const id = this.#nextID++;
    return new Promise<unknown>((resolve, reject) => {
      this.#post({ kind: 'write', id, request, durable: options.durable ?? true });
      if (this.#waiting.size === 0) this.#worker.ref();
      this.#waiting.set(id, { resolve, reject });
    });
  }

  /** Finishes the writes under way, folds the log into the database file and ends the thread. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#ended) return;
    // The thread closes the database at once: a write that came after would find none.
    this.#ended = new EngineError('internal', 'the database is closed');
    this.#worker.ref();
    const exited = once(this.#worker, 'exit');
    this.#post({ kind: 'close' });
    await exited;
  }

  #post(message: ToThread): void {
    this.#worker.postMessage(message);
  }

  #settle(answers: readonly WriteAnswer[]): void {
    for (const { id, result, error } of answers) {
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error) waiting?.reject(fromWireError(error));
      else waiting?.resolve(result);
    }
    if (this.#waiting.size === 0) this.#worker.unref();
  }

  #end(why: string): void {
    this.#ended ??= new EngineError('internal', why);
    for (const { reject } of this.#waiting.values()) reject(this.#ended);
    this.#waiting.clear();
  }
}
