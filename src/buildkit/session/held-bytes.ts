/** As large as the packets that clients send: what is larger, or much smaller, is memory of its own. */
const blockBytes = 32 << 10;
const smallBytes = 4 << 10;

/** Copies of bytes that are held for a while, in memory that is used again: what is thrown away makes V8 collect garbage. */
export class HeldBytes {
  readonly #free: Buffer[] = [];

  keep(bytes: Uint8Array): Buffer {
    if (bytes.byteLength <= smallBytes || bytes.byteLength > blockBytes) return Buffer.from(bytes);
    const block = this.#free.pop() ?? Buffer.allocUnsafeSlow(blockBytes);
    block.set(bytes);
    return block.subarray(0, bytes.byteLength);
  }

  /** Nobody reads them any more. */
  release(kept: readonly Buffer[]): void {
    for (const { buffer, byteLength } of kept) {
      if (byteLength > smallBytes && byteLength <= blockBytes) this.#free.push(Buffer.from(buffer, 0, blockBytes));
    }
  }
}
