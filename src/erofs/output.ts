import { writeSync } from 'node:fs';

const bufferBytes = 1 << 18;

/** Small writes at rising offsets of an empty file, gathered. What is not written stays a hole. */
export class GatheredWrites {
  readonly #fd: number;
  readonly #buffer = Buffer.alloc(bufferBytes);
  #start = 0;
  #used = 0;

  constructor(fd: number) {
    this.#fd = fd;
  }

  write(offset: number, bytes: Buffer): void {
    if (bytes.length > bufferBytes) {
      writeFully(this.#fd, bytes, offset);
      return;
    }
    if (offset < this.#start + this.#used || offset + bytes.length > this.#start + bufferBytes) this.flush();
    if (this.#used === 0) this.#start = offset;
    bytes.copy(this.#buffer, offset - this.#start);
    this.#used = offset - this.#start + bytes.length;
  }

  flush(): void {
    if (this.#used > 0) writeFully(this.#fd, this.#buffer.subarray(0, this.#used), this.#start);
    this.#buffer.fill(0, 0, this.#used);
    this.#used = 0;
  }
}

export function writeFully(fd: number, bytes: Buffer, offset: number): void {
  for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done, bytes.length - done, offset + done);
}
