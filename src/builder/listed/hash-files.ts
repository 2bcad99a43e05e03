import { readSync } from 'node:fs';
import { Progress, stages } from '#concurrency';
import { startFileHash } from '../executor/file-hash.ts';
import type { FilesToHash } from './hash-protocol.ts';

const windowBytes = 1 << 20;

/**
 * Hashes files that stand one behind the other in a file that another thread is writing, as far as it comes: blocks while nothing more is there, ends early
 * when the writing was given up.
 */
export function* hashFiles(fd: number, { files, progress: memory }: FilesToHash): Generator<string> {
  const window = new Window(fd, new Progress(memory));
  for (const { header, offset, sizeBytes } of files) {
    const hash = startFileHash(header);
    for (let done = 0; done < sizeBytes; ) {
      const bytes = window.at(offset + done, sizeBytes - done);
      if (!bytes) return;
      hash.update(bytes);
      done += bytes.length;
    }
    yield hash.digest('hex');
  }
}

/** What was last read of a file: most reads go on where the one before ended. */
class Window {
  readonly #fd: number;
  readonly #progress: Progress;
  readonly #bytes = Buffer.allocUnsafeSlow(windowBytes);
  #start = 0;
  #end = 0;

  constructor(fd: number, progress: Progress) {
    this.#fd = fd;
    this.#progress = progress;
  }

  /** Bytes from `offset` on, `limit` at most; undefined when they will not come. */
  at(offset: number, limit: number): Buffer | undefined {
    if (offset < this.#start || offset >= this.#end) {
      const { writtenBytes, stage } = this.#progress.beyond(offset);
      if (stage === stages.abandoned || writtenBytes <= offset) return undefined;
      const size = readSync(this.#fd, this.#bytes, 0, Math.min(windowBytes, writtenBytes - offset), offset);
      if (size === 0) return undefined;
      [this.#start, this.#end] = [offset, offset + size];
    }
    const from = offset - this.#start;
    return this.#bytes.subarray(from, Math.min(from + limit, this.#end - this.#start));
  }
}
