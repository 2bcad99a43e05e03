import { type FSWatcher, watch } from 'node:fs';

/** Says when a log may have more to read: a write to the file, a new file in its place, the end of its container, a time. */
export class LogChanges implements Disposable {
  readonly #path: string;
  #watcher: FSWatcher | undefined;
  #timer: NodeJS.Timeout | undefined;
  #changed = false;
  #wake: (() => void) | undefined;

  constructor(path: string) {
    this.#path = path;
    this.rewatch();
  }

  /** Watches the file that has the path now. */
  rewatch(): void {
    this.#watcher?.close();
    this.#watcher = watch(this.#path, () => this.notify());
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
    this.#watcher?.close();
    clearTimeout(this.#timer);
  }
}
