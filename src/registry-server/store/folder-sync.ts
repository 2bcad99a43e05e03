import { fsyncFolder } from '#files';

/** Syncs one folder for all who have put something into it since the last sync began. */
export class FolderSync {
  readonly #path: string;
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  /** Resolves when what is in the folder now is there for good. */
  sync(): Promise<void> {
    // One that has begun may have missed it.
    this.#next ??= (this.#running ?? Promise.resolve()).catch(() => {}).then(() => this.#run());
    return this.#next;
  }

  async #run(): Promise<void> {
    this.#running = this.#next;
    this.#next = undefined;
    await fsyncFolder(this.#path);
  }
}
