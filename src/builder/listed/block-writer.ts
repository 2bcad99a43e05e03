import type { FileHandle } from 'node:fs/promises';
import { EngineError } from '#errdefs';

const blockBytes = 1 << 20;

/** Appends in large blocks, one being filled while the other is written: a call for each piece that a socket brings costs more than the bytes. */
export class BlockWriter {
  readonly #file: FileHandle;
  #block = Buffer.allocUnsafe(blockBytes);
  #spare = Buffer.allocUnsafe(blockBytes);
  #fill = 0;
  #writing: Promise<void> = Promise.resolve();
  /** Of everything appended so far. */
  sizeBytes = 0;
  /** Of these, from the beginning on, what can be read from the file. */
  writtenBytes = 0;
  /** Called whenever that has grown. */
  onWritten: (() => void) | undefined;

  constructor(file: FileHandle) {
    this.#file = file;
  }

  /** The chunk is the caller's again when it returns. Waits where a block has to be written first. */
  append(chunk: Uint8Array): Promise<void> | undefined {
    const room = blockBytes - this.#fill;
    if (chunk.length > room) return this.#appendParts(chunk, room);
    this.#put(chunk);
    return undefined;
  }

  #put(bytes: Uint8Array): void {
    this.#block.set(bytes, this.#fill);
    this.#fill += bytes.length;
    this.sizeBytes += bytes.length;
  }

  async #appendParts(chunk: Uint8Array, room: number): Promise<void> {
    this.#put(chunk.subarray(0, room));
    for (let at = room; at < chunk.length; at += blockBytes) {
      await this.#turn();
      this.#put(chunk.subarray(at, at + blockBytes));
    }
  }

  /** Everything appended can be read from the file. */
  async flush(): Promise<void> {
    await this.#turn();
    await this.#writing;
  }

  async #turn(): Promise<void> {
    await this.#writing;
    const [full, length, at] = [this.#block, this.#fill, this.sizeBytes - this.#fill];
    [this.#block, this.#spare, this.#fill] = [this.#spare, full, 0];
    this.#writing = this.#write(full.subarray(0, length), at);
    this.#writing.catch(() => {});
  }

  async #write(bytes: Uint8Array, at: number): Promise<void> {
    const { bytesWritten } = await this.#file.write(bytes, 0, bytes.length, at);
    if (bytesWritten !== bytes.length) {
      throw new EngineError('unavailable', 'write build context: no space left on device');
    }
    this.writtenBytes = at + bytesWritten;
    this.onWritten?.();
  }
}
