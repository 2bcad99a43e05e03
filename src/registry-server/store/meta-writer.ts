import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { workerEntry } from '#concurrency';
import { EngineError, messageOf } from '#errdefs';
import type { FromWriter, Outcome, Statement, ToWriter } from './meta-protocol.ts';

interface Waiting {
  readonly resolve: (changes: readonly number[]) => void;
  readonly reject: (error: unknown) => void;
}

/** This side of the writing thread, which syncs to disk without making readers wait. */
export class MetaWriter implements AsyncDisposable {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  #nextID = 1;
  #ended: EngineError | undefined;

  private constructor(worker: Worker) {
    this.#worker = worker;
    worker.on('message', (message: FromWriter) => {
      if (message.kind === 'outcomes') for (const outcome of message.outcomes) this.#settle(outcome);
    });
    worker.on('error', (error) => this.#end(`registry database thread failed: ${messageOf(error)}`));
    worker.on('exit', () => this.#end('the registry database is closed'));
  }

  /** Starts the thread; resolves when the database is open and migrated. */
  static async open(path: string): Promise<MetaWriter> {
    const worker = new Worker(workerEntry(import.meta.url, './registry-meta.worker.ts'), {
      workerData: { path },
      resourceLimits: { maxOldGenerationSizeMb: 128, maxYoungGenerationSizeMb: 4 },
    });
    const [message] = (await once(worker, 'message')) as [FromWriter];
    if (message.kind === 'failed') {
      await worker.terminate();
      throw new EngineError(message.error.kind, message.error.message);
    }
    return new MetaWriter(worker);
  }

  /** Runs statements as one transaction; answers how many rows each changed. When it resolves, every reader sees it. */
  run(statements: readonly Statement[], options: { durable?: boolean } = {}): Promise<readonly number[]> {
    if (this.#ended) return Promise.reject(this.#ended);
    const id = this.#nextID++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#post({ kind: 'write', transaction: { id, statements, durable: options.durable ?? true } });
    });
  }

  /** Finishes the writes under way, folds the log into the database file and ends the thread. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#ended) return;
    this.#ended = new EngineError('unavailable', 'the registry database is closed');
    const exited = once(this.#worker, 'exit');
    this.#post({ kind: 'close' });
    await exited;
  }

  #post(message: ToWriter): void {
    this.#worker.postMessage(message);
  }

  #settle({ id, changes, error }: Outcome): void {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error) waiting?.reject(new EngineError(error.kind, error.message));
    else waiting?.resolve(changes ?? []);
  }

  #end(why: string): void {
    this.#ended ??= new EngineError('internal', why);
    for (const { reject } of this.#waiting.values()) reject(this.#ended);
    this.#waiting.clear();
  }
}
