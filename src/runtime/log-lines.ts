import type { FileHandle } from 'node:fs/promises';
import { lineFeed } from './log-record.ts';

const blockBytes = 128 * 1024;
/** conmon's lines are near 8 KiB at most; a longer one is no log of ours and is passed over. */
const lineLimitBytes = 64 * 1024;
const nothing = Buffer.alloc(0);

/** Whole lines of a growing file from an offset on, a block of them at a time. An unfinished last line waits for its end. */
export class LogLines {
  readonly #file: FileHandle;
  #offset: number;
  #block: Buffer | undefined;
  #rest: Buffer = nothing;

  constructor(file: FileHandle, offset: number) {
    this.#file = file;
    this.#offset = offset;
  }

  /** Where the lines end that {@link next} has given. */
  get offset(): number {
    return this.#offset - this.#rest.length;
  }

  /** Lines that are there now, to be used before the next call; nothing at the end of the file. A file cut short is read anew from its start. */
  async next(): Promise<Buffer> {
    this.#block ??= Buffer.allocUnsafe(blockBytes + lineLimitBytes);
    const block = this.#block;
    const { bytesRead } = await this.#file.read(block, this.#rest.length, blockBytes, this.#offset);
    if (bytesRead === 0) {
      // Who waits for more keeps no block.
      this.#block = undefined;
      const { size } = await this.#file.stat();
      if (size < this.#offset) this.#restart();
      return nothing;
    }
    this.#offset += bytesRead;
    return this.#split(block, this.#rest.length + bytesRead);
  }

  /** True once {@link next} has nothing more to give. */
  async atEnd(): Promise<boolean> {
    return (await this.#file.stat()).size === this.#offset;
  }

  #restart(): void {
    this.#offset = 0;
    this.#rest = nothing;
  }

  #split(block: Buffer, length: number): Buffer {
    this.#rest.copy(block);
    const end = block.lastIndexOf(lineFeed, length - 1) + 1;
    this.#rest = length - end > lineLimitBytes ? nothing : Buffer.from(block.subarray(end, length));
    return block.subarray(0, end);
  }
}
