/**
 * Bytes as `AsyncIterable<Uint8Array>`: pulling is the backpressure. Imports errdefs.
 * Node streams live at the edges; `toNodeReadable` and Node's own iterators join the two.
 */
import { Readable } from 'node:stream';
import { EngineError } from '#errdefs';

export { bytesOfPart, type FilePart, type Part, PartedSource } from './parts.ts';

export type ByteSource = AsyncIterable<Uint8Array>;

/**
 * Reads a bounded document whole. The source may lend its chunks, each until the next is asked for.
 * @throws EngineError `out-of-range` once more than `limitBytes` have arrived; the source is released.
 */
export async function readAll(source: ByteSource, limitBytes: number, what = 'document'): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const chunk of source) {
    sizeBytes += chunk.byteLength;
    if (sizeBytes > limitBytes) {
      throw new EngineError('out-of-range', `read ${what}: larger than ${limitBytes} bytes`);
    }
    parts.push(new Uint8Array(chunk));
  }
  return Buffer.concat(parts, sizeBytes);
}

/** A source over bytes already in memory. */
export async function* fromBytes(...chunks: readonly (Uint8Array | string)[]): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) yield typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
}

/** Joins chunks until each is at least `sizeBytes` (the last may be shorter): fewer, larger messages and writes. */
export async function* coalesce(source: ByteSource, sizeBytes: number): AsyncGenerator<Uint8Array> {
  let pending: Uint8Array[] = [];
  let pendingBytes = 0;
  for await (const chunk of source) {
    if (pendingBytes === 0 && chunk.byteLength >= sizeBytes) {
      yield chunk;
      continue;
    }
    pending.push(chunk);
    pendingBytes += chunk.byteLength;
    if (pendingBytes < sizeBytes) continue;
    yield Buffer.concat(pending, pendingBytes);
    pending = [];
    pendingBytes = 0;
  }
  if (pendingBytes > 0) yield Buffer.concat(pending, pendingBytes);
}

/**
 * Gives a chunk's memory back at once, when it has memory of its own; for who knows that nobody else has the chunk. V8 counts the bytes that hang on its
 * small objects, and collects everything for some twenty megabytes of them: in a long stream that takes longer than the stream's own work.
 */
export function giveBack({ buffer, byteLength }: Uint8Array): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) buffer.transfer(0);
}

/** Wraps a source for an edge that wants a Node stream; destroying the stream releases the source. */
export function toNodeReadable(source: ByteSource): Readable {
  return Readable.from(source, { objectMode: false, highWaterMark: 1 << 20 });
}

/**
 * A queue between a callback producer and one consumer. `push` returns false while more than `limitBytes` wait,
 * and `drained` resolves when there is room again; `end` and `fail` finish the iteration; leaving it early calls `onReturn`.
 */
export class ByteQueue implements AsyncIterable<Uint8Array> {
  readonly #limitBytes: number;
  readonly #onReturn: () => void;
  #chunks: Uint8Array[] = [];
  #sizeBytes = 0;
  #ended = false;
  #failure: unknown;
  #wakeReader: (() => void) | undefined;
  #wakeWriters: (() => void)[] = [];

  constructor(options: { limitBytes?: number; onReturn?: () => void } = {}) {
    this.#limitBytes = options.limitBytes ?? 1 << 20;
    this.#onReturn = options.onReturn ?? (() => {});
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  push(chunk: Uint8Array): boolean {
    if (this.#ended) return true;
    this.#chunks.push(chunk);
    this.#sizeBytes += chunk.byteLength;
    this.#wakeReader?.();
    return this.#sizeBytes < this.#limitBytes;
  }

  drained(): Promise<void> {
    if (this.#ended || this.#sizeBytes < this.#limitBytes) return Promise.resolve();
    return new Promise((resolve) => this.#wakeWriters.push(resolve));
  }

  end(): void {
    this.#finish(undefined);
  }

  fail(error: unknown): void {
    this.#finish(error);
  }

  #finish(error: unknown): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#failure = error;
    this.#wakeReader?.();
    this.#releaseWriters();
  }

  #releaseWriters(): void {
    const waiting = this.#wakeWriters;
    this.#wakeWriters = [];
    for (const wake of waiting) wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    try {
      while (true) {
        const chunk = this.#chunks.shift();
        if (chunk !== undefined) {
          this.#sizeBytes -= chunk.byteLength;
          if (this.#sizeBytes < this.#limitBytes) this.#releaseWriters();
          yield chunk;
        } else if (this.#ended) {
          if (this.#failure !== undefined) throw this.#failure;
          return;
        } else {
          await new Promise<void>((resolve) => {
            this.#wakeReader = resolve;
          });
          this.#wakeReader = undefined;
        }
      }
    } finally {
      this.#ended = true;
      this.#chunks = [];
      this.#sizeBytes = 0;
      this.#releaseWriters();
      this.#onReturn();
    }
  }
}
