import { appendFile } from 'node:fs/promises';
import { log } from '#log';

export interface AuditEntry {
  readonly time: string;
  readonly user: string | null;
  readonly address: string;
  readonly action: string;
  readonly repository?: string | undefined;
  readonly reference?: string | undefined;
  readonly method: string;
  readonly status: number;
  readonly agent?: string | undefined;
}

/** A file that gets a line of JSON for each entry. Opened for each batch, so that it can be rotated by renaming it. */
export class AuditLog implements AsyncDisposable {
  readonly #path: string;
  #lines: string[] = [];
  #writing: Promise<void> | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  /** @throws when the file cannot be written: a registry that is to keep an account does not start without. */
  async open(): Promise<void> {
    await appendFile(this.#path, '', { mode: 0o600 });
  }

  add(entry: AuditEntry): void {
    this.#lines.push(`${JSON.stringify(entry)}\n`);
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined;
    });
  }

  async #write(): Promise<void> {
    while (this.#lines.length > 0) {
      const lines = this.#lines;
      this.#lines = [];
      try {
        await appendFile(this.#path, lines.join(''), { mode: 0o600 });
      } catch (error) {
        log.error('writing the audit log failed', { path: this.#path, entries: lines.length, error });
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writing;
  }
}
