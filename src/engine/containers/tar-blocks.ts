const blockBytes = 1 << 20;

/**
 * Bytes gathered into blocks. Each method is a part of a walk: it yields a block when that is full, for whoever drives the walk to hand out before the next
 * step. With `lend` it is the same memory again and again: new memory for each would cost more than reading and sending it, since V8 collects its garbage
 * whenever much of it lies outside its heap.
 */
export class TarBlocks {
  readonly #lend: boolean;
  #block = Buffer.allocUnsafeSlow(blockBytes);
  #filledBytes = 0;

  constructor({ lend }: { lend: boolean }) {
    this.#lend = lend;
  }

  *write(bytes: Uint8Array): Generator<Buffer> {
    for (let done = 0; done < bytes.byteLength; ) {
      const room = yield* this.room(1);
      const part = bytes.subarray(done, done + room.byteLength);
      room.set(part);
      this.advance(part.byteLength);
      done += part.byteLength;
    }
  }

  /** Where the next bytes go: at least `sizeBytes`, which a block can hold. {@link advance} tells how many were put there. */
  *room(sizeBytes: number): Generator<Buffer, Buffer> {
    if (blockBytes - this.#filledBytes < sizeBytes) yield* this.flush();
    return this.#block.subarray(this.#filledBytes);
  }

  advance(bytes: number): void {
    this.#filledBytes += bytes;
  }

  /** What there is, be it less than a block. */
  *flush(): Generator<Buffer> {
    if (this.#filledBytes === 0) return;
    yield this.#block.subarray(0, this.#filledBytes);
    this.#filledBytes = 0;
    if (!this.#lend) this.#block = Buffer.allocUnsafeSlow(blockBytes);
  }
}
