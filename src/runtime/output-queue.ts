import type { OutputChunk } from './types.ts';

/**
 * Chunks from a callback to one consumer. It takes everything it is given: {@link OutputQueue.isFull} asks the producer to stop, and
 * `onRoom` is called when there is room again.
 */
export class OutputQueue {
  readonly #limitBytes: number;
  readonly #onRoom: () => void;
  readonly #chunks: OutputChunk[] = [];
  #sizeBytes = 0;
  #ended = false;
  #wake: (() => void) | undefined;

  constructor(options: { limitBytes: number; onRoom: () => void }) {
    this.#limitBytes = options.limitBytes;
    this.#onRoom = options.onRoom;
  }

  get isFull(): boolean {
    return this.#sizeBytes >= this.#limitBytes;
  }

  push(chunk: OutputChunk): void {
    if (this.#ended) return;
    this.#chunks.push(chunk);
    this.#sizeBytes += chunk.data.byteLength;
    this.#wake?.();
  }

  /** The consumer still gets what waits. */
  end(): void {
    this.#ended = true;
    this.#wake?.();
  }

  /** Drops what waits and ends. */
  discard(): void {
    this.#chunks.length = 0;
    this.#settle(this.#sizeBytes);
    this.end();
  }

  async next(): Promise<OutputChunk | undefined> {
    while (true) {
      const chunk = this.#chunks.shift();
      if (chunk !== undefined) {
        this.#settle(chunk.data.byteLength);
        return chunk;
      }
      if (this.#ended) return undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
  }

  #settle(takenBytes: number): void {
    const wasFull = this.isFull;
    this.#sizeBytes -= takenBytes;
    if (wasFull && !this.isFull) this.#onRoom();
  }
}
