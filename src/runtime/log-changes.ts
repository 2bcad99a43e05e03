import { type FSWatcher, watch } from 'node:fs';
import { basename, dirname } from 'node:path';

/** Says when a log may have more to read: a write to one of its files, a new file, the end of its container, a time. */
export class LogChanges implements Disposable {
  readonly #watcher: FSWatcher;
  #timer: NodeJS.Timeout | undefined;
  #changed = false;
  #wake: (() => void) | undefined;

  /** The folder is watched, not the file: a log goes on in another file when it is rotated. */
  constructor(path: string) {
    const name = basename(path);
    this.#watcher = watch(dirname(path), (_event, changed) => {
      if (changed === null || changed.startsWith(name)) this.notify();
    });
    this.#watcher.on('error', () => this.notify());
  }

  notifyAt(timeMs: number): void {
    this.#timer = setTimeout(() => this.notify(), Math.min(Math.max(timeMs - Date.now(), 0) + 1, 0x7fffffff));
  }

  notify(): void {
    this.#changed = true;
    this.#wake?.();
  }

  /** Resolves at once for a change since the last call: nothing between a read and a wait is missed. */
  async wait(): Promise<void> {
    if (!this.#changed) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
    this.#changed = false;
  }

  [Symbol.dispose](): void {
    this.#watcher.close();
    clearTimeout(this.#timer);
  }
}
