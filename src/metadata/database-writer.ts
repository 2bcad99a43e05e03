import { workerEntry } from '#concurrency';
import { type MakeRoom, withRoom } from '#files';
import { WriteThread } from '#sqlite';
import type { WriteInput, WriteName, WriteRequest, WriteResult } from './writes/index.ts';

/** The writes of this module, by name, done by its database thread. */
export class DatabaseWriter implements AsyncDisposable {
  readonly #thread: WriteThread;
  readonly #spare: MakeRoom;

  private constructor(thread: WriteThread, spare: MakeRoom) {
    this.#thread = thread;
    this.#spare = spare;
  }

  /** Starts the thread; resolves when the database is open and migrated. `spare` gives space on a full disk. */
  static async open(path: string, spare: MakeRoom = async () => false): Promise<DatabaseWriter> {
    const thread = await WriteThread.open(workerEntry(import.meta.url, './database.worker.ts'), path);
    return new DatabaseWriter(thread, spare);
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
    const request: WriteRequest = { name, input };
    return withRoom(this.#spare, () => this.#thread.run(request, options)) as Promise<WriteResult<K>>;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#thread[Symbol.asyncDispose]();
  }
}
