import { randomBytes } from 'node:crypto';
import { link, mkdir, readdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { isErrno } from '#errdefs';
import { removeIfPresent } from '#files';
import { log } from '#log';

/**
 * Files on their way out. Renaming one is instant, while unlinking takes a disk that discards freed blocks about a second per gigabyte: a file
 * leaves its name at once, and its blocks are freed behind the caller's back, one file at a time so that other work finds threads of the pool.
 * What a crash leaves here the next start removes.
 */
export class Removals implements AsyncDisposable {
  readonly #folder: string;
  #freed: Promise<unknown> = Promise.resolve();

  private constructor(folder: string) {
    this.#folder = folder;
  }

  /** Makes the folder when it is new, and goes on with what an earlier process had not freed. */
  static async open(folder: string): Promise<Removals> {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const removals = new Removals(folder);
    for (const name of await readdir(folder)) removals.#free(join(folder, name));
    return removals;
  }

  /** The name is free when this returns. Absent is fine. */
  async take(path: string): Promise<void> {
    const doomed = join(this.#folder, randomBytes(12).toString('hex'));
    try {
      await rename(path, doomed);
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return;
      throw error;
    }
    this.#free(doomed);
  }

  /** As `take`, of a file whose name `replace` gives to another one. */
  async takeBehind(path: string, replace: () => Promise<void>): Promise<void> {
    const doomed = join(this.#folder, randomBytes(12).toString('hex'));
    await link(path, doomed);
    try {
      await replace();
    } finally {
      this.#free(doomed);
    }
  }

  /** Waits until what was taken so far is freed. */
  async settled(): Promise<void> {
    await this.#freed;
  }

  #free(path: string): void {
    this.#freed = this.#freed
      .then(() => removeIfPresent(path))
      .catch((error: unknown) => log.warn('could not free a removed file', { path, error }));
  }

  /** Waits until all of them are freed. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#freed;
  }
}
