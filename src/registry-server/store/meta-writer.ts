import { workerEntry } from '#concurrency';
import { type SqlValue, WriteThread } from '#sqlite';

/** One statement of a transaction. */
export interface Statement {
  readonly sql: string;
  readonly values: readonly SqlValue[];
  /** The transaction fails with `failed-precondition` unless so many rows change. */
  readonly want?: number;
}

/** Transactions of statements, done by a thread of their own, which syncs to disk without making readers wait. */
export class MetaWriter implements AsyncDisposable {
  readonly #thread: WriteThread;

  private constructor(thread: WriteThread) {
    this.#thread = thread;
  }

  /** Starts the thread; resolves when the database is open and migrated. */
  static async open(path: string): Promise<MetaWriter> {
    return new MetaWriter(await WriteThread.open(workerEntry(import.meta.url, './registry-meta.worker.ts'), path));
  }

  /** Runs statements as one transaction; answers how many rows each changed. When it resolves, every reader sees it. */
  async run(statements: readonly Statement[], options: { durable?: boolean } = {}): Promise<readonly number[]> {
    return (await this.#thread.run(statements, options)) as readonly number[];
  }

  /** Finishes the writes under way, folds the log into the database file and ends the thread. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#thread[Symbol.asyncDispose]();
  }
}
