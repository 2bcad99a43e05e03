import { closeSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import type { LogMark } from '#runtime';

const sizeBytes = 128;

/** How far a log was sent on, in a file: written over in place after each message, so that a killed daemon's successor goes on behind it. */
export class LogPosition implements Disposable {
  readonly #fd: number;
  readonly #bytes = Buffer.alloc(sizeBytes);

  constructor(path: string) {
    mkdirSync(dirname(path), { recursive: true });
    // Not cut short: what an earlier daemon wrote holds until the first message.
    this.#fd = openSync(path, 'a+', 0o600);
    closeSync(this.#fd);
    this.#fd = openSync(path, 'r+');
  }

  static read(path: string): LogMark | undefined {
    try {
      const { file, offset, taken } = JSON.parse(readFileSync(path).toString()) as Partial<LogMark>;
      return typeof file === 'string' && typeof offset === 'number' && typeof taken === 'number'
        ? { file, offset, taken }
        : undefined;
    } catch {
      // None was written yet.
      return undefined;
    }
  }

  /** Before a send, so that as little as can be lies between it and `write`: a daemon killed there has its successor send again. */
  prepare({ file, offset, taken }: LogMark): void {
    this.#bytes.fill(' ').write(JSON.stringify({ file, offset, taken }));
  }

  /** What was prepared. */
  write(): void {
    writeSync(this.#fd, this.#bytes, 0, sizeBytes, 0);
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }
}
