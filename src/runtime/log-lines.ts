import type { FileHandle } from 'node:fs/promises';
import { lineFeed } from './log-record.ts';

const blockBytes = 64 * 1024;
/** conmon's lines are near 8 KiB at most; a longer one is no log of ours and is passed over. */
const lineLimitBytes = 1 << 20;

/** Whole lines of a growing file from an offset on. An unfinished last line waits for its end. */
export class LogLines {
  readonly #file: FileHandle;
  #offset: number;
  #pending: Buffer = Buffer.alloc(0);

  constructor(file: FileHandle, offset: number) {
    this.#file = file;
    this.#offset = offset;
  }

  /** Lines that are there now; nothing at the end of the file. A file cut short is read anew from its start. */
  async next(): Promise<Buffer[]> {
    const block = Buffer.allocUnsafe(blockBytes);
    const { bytesRead } = await this.#file.read(block, 0, blockBytes, this.#offset);
    if (bytesRead === 0) {
      const { size } = await this.#file.stat();
      if (size < this.#offset) this.#restart();
      return [];
    }
    this.#offset += bytesRead;
    return this.#split(block.subarray(0, bytesRead));
  }

  /** True once {@link next} has nothing more to give. */
  async atEnd(): Promise<boolean> {
    return (await this.#file.stat()).size === this.#offset;
  }

  #restart(): void {
    this.#offset = 0;
    this.#pending = Buffer.alloc(0);
  }

  #split(block: Buffer): Buffer[] {
    const data = this.#pending.length > 0 ? Buffer.concat([this.#pending, block]) : block;
    const lines: Buffer[] = [];
    let start = 0;
    for (let end = data.indexOf(lineFeed); end >= 0; end = data.indexOf(lineFeed, start)) {
      lines.push(data.subarray(start, end + 1));
      start = end + 1;
    }
    const rest = data.subarray(start);
    this.#pending = rest.length > lineLimitBytes ? Buffer.alloc(0) : rest;
    return lines;
  }
}

/** Where the last `count` lines of a file begin, found from its end backwards, and how many it lacks. */
export async function tailOffset(file: FileHandle, count: number): Promise<{ offset: number; missing: number }> {
  const { size } = await file.stat();
  const block = Buffer.allocUnsafe(blockBytes);
  let feedsToPass = count + 1; // the one that ends the line before counts too
  for (let end = size; end > 0; ) {
    const start = Math.max(0, end - blockBytes);
    const { bytesRead } = await file.read(block, 0, end - start, start);
    const data = block.subarray(0, bytesRead);
    for (let at = data.lastIndexOf(lineFeed); at >= 0; at = at > 0 ? data.lastIndexOf(lineFeed, at - 1) : -1) {
      if (--feedsToPass === 0) return { offset: start + at + 1, missing: 0 };
    }
    end = start;
  }
  return { offset: 0, missing: feedsToPass - 1 };
}
