import { readSync } from 'node:fs';
import { EngineError } from '#errdefs';

const pageBytes = 1 << 16;
const maxPages = 64;
/** Reading is synchronous, so one is enough for all. */
const scratch = Buffer.alloc(pageBytes);

/** Small reads at any place of a file through a few pages kept in memory. */
export class FileWindow {
  readonly #fd: number;
  readonly #pages = new Map<number, Buffer>();

  constructor(fd: number) {
    this.#fd = fd;
  }

  /** A view, valid until the next read. @throws `data-loss` when the file ends before. */
  read(offset: number, lengthBytes: number): Buffer {
    const number = Math.floor(offset / pageBytes);
    const within = offset - number * pageBytes;
    if (within + lengthBytes <= pageBytes) {
      const page = this.#page(number);
      if (within + lengthBytes > page.length) throw tooShort();
      return page.subarray(within, within + lengthBytes);
    }
    const whole = Buffer.alloc(lengthBytes);
    if (readSync(this.#fd, whole, 0, lengthBytes, offset) < lengthBytes) throw tooShort();
    return whole;
  }

  #page(number: number): Buffer {
    const known = this.#pages.get(number);
    if (known) return known;
    const lengthBytes = readSync(this.#fd, scratch, 0, pageBytes, number * pageBytes);
    if (this.#pages.size >= maxPages) this.#pages.delete(this.#pages.keys().next().value!);
    // Most indexes are a few kilobytes, and of a deep chain hundreds are open at once.
    const held = Buffer.from(scratch.subarray(0, lengthBytes));
    this.#pages.set(number, held);
    return held;
  }
}

function tooShort(): EngineError {
  return new EngineError('data-loss', 'read index: the file is shorter than it says');
}
