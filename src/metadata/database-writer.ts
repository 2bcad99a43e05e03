import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { workerEntry } from '#concurrency';
import { EngineError, messageOf } from '#errdefs';
import { type MakeRoom, withRoom } from '#files';
import { fromWireError } from './database-errors.ts';
import type { FromDatabase, ToDatabase, WriteAnswer } from './protocol.ts';
import type { WriteInput, WriteName, WriteResult } from './writes/index.ts';

interface Waiting {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** This side of the database thread. The thread keeps the process alive only while a write is under way. */
export class DatabaseWriter implements AsyncDisposable {
  readonly #worker: Worker;
  readonly #spare: MakeRoom;
  readonly #waiting = new Map<number, Waiting>();
  #nextID = 1;
  #ended: EngineError | undefined;

  private constructor(worker: Worker, spare: MakeRoom) {
    this.#worker = worker;
    this.#spare = spare;
    worker.on('message', (message: FromDatabase) => {
      if (message.kind === 'answers') this.#settle(message.answers);
    });
    worker.on('error', (error) => this.#end(`database thread failed: ${messageOf(error)}`));
    worker.on('exit', () => this.#end('the database is closed'));
  }

  /** Starts the thread; resolves when the database is open and migrated. `spare` gives space on a full disk. */
  static async open(path: string, spare: MakeRoom = async () => false): Promise<DatabaseWriter> {
    const worker = new Worker(workerEntry(import.meta.url, './database.worker.ts'), {
      workerData: { path },
      resourceLimits: { maxOldGenerationSizeMb: 128, maxYoungGenerationSizeMb: 2 },
    });
    const [message] = (await once(worker, 'message')) as [FromDatabase];
    if (message.kind === 'failed') {
      await worker.terminate();
      throw fromWireError(message.error);
    }
    worker.unref();
    return new DatabaseWriter(worker, spare);
  }

  /**
   * Runs one operation as one transaction; when it resolves, every connection sees it. On a full disk it is tried again with the space that was set
   * aside for that.
   */
  run<K extends WriteName>(
    name: K,
    input: WriteInput<K>,
    options: { durable?: boolean } = {},
  ): Promise<WriteResult<K>> {
    return withRoom(this.#spare, () => this.#run(name, input, options));
  }

  #run<K extends WriteName>(name: K, input: WriteInput<K>, options: { durable?: boolean }): Promise<WriteResult<K>> {
    if (this.#ended) return Promise.reject(this.#ended);
    const id = this.#nextID++;
    return new Promise<unknown>((resolve, reject) => {
      this.#post({ kind: 'write', id, name, input, durable: options.durable ?? true });
      if (this.#waiting.size === 0) this.#worker.ref();
      this.#waiting.set(id, { resolve, reject });
    }) as Promise<WriteResult<K>>;
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

  #post(message: ToDatabase): void {
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
