import { type FSWatcher, mkdirSync, readdirSync, readFileSync, statSync, unlinkSync, watch } from 'node:fs';
import { join } from 'node:path';
import { isErrno } from '#errdefs';

/** What conmon wrote when a container's init ended. */
export interface ExitRecord {
  readonly exitCode: number;
  readonly finishedAt: Date;
}

/**
 * The folder where each conmon leaves its container's exit code as a file named by container, watched as one. Files stay until
 * {@link Exits.forget}, so a daemon that was not there reads them later.
 */
export class Exits implements Disposable {
  readonly #folder: string;
  readonly #waiting = new Map<string, (record: ExitRecord) => void>();
  readonly #watcher: FSWatcher;

  constructor(folder: string) {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    this.#folder = folder;
    // Files arrive by rename, so an event for a name is a whole file.
    this.#watcher = watch(folder, { persistent: false }, (_event, name) => {
      const now = new Date();
      if (name === null) for (const id of this.#waiting.keys()) this.#deliver(id, now);
      else this.#deliver(name, now);
    });
    this.#watcher.on('error', () => {});
  }

  get folder(): string {
    return this.#folder;
  }

  /** Containers that have a file. */
  list(): string[] {
    return readdirSync(this.#folder).filter((name) => !name.startsWith('.'));
  }

  /** Drops the files of containers nobody knows any more. */
  keepOnly(ids: ReadonlySet<string>): void {
    for (const id of readdirSync(this.#folder)) if (!ids.has(id)) this.forget(id);
  }

  /** The record of a container that has ended. */
  read(id: string): ExitRecord | undefined {
    const path = join(this.#folder, id);
    try {
      const text = readFileSync(path).toString();
      if (!/^-?\d+$/.test(text)) return undefined;
      return { exitCode: Number(text) & 0xff, finishedAt: statSync(path).mtime };
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return undefined;
      throw error;
    }
  }

  /** Resolves when the container ends, at once when it has. One waiter per container; it keeps the event loop alive. */
  wait(id: string): Promise<ExitRecord> {
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve);
      this.#watcher.ref();
      this.#deliver(id);
    });
  }

  forget(id: string): void {
    this.#stopWaiting(id);
    try {
      unlinkSync(join(this.#folder, id));
    } catch (error) {
      if (!isErrno(error, 'ENOENT')) throw error;
    }
  }

  /** Looks again: conmon is known to have ended. */
  recheck(id: string): ExitRecord | undefined {
    this.#deliver(id);
    return this.read(id);
  }

  /** `now`: it has just arrived, which is known better than from a file's time, that of the kernel's last tick. */
  #deliver(id: string, now?: Date): void {
    const resolve = this.#waiting.get(id);
    if (!resolve) return;
    const record = this.read(id);
    if (!record) return;
    this.#stopWaiting(id);
    resolve(now ? { ...record, finishedAt: now } : record);
  }

  #stopWaiting(id: string): void {
    this.#waiting.delete(id);
    if (this.#waiting.size === 0) this.#watcher.unref();
  }

  [Symbol.dispose](): void {
    this.#watcher.close();
  }
}
