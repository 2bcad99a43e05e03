import { EngineError } from '#errdefs';
import type { ByteSource } from '#streams';

/**
 * Contents, one behind the other: a head of 12 bytes (number of the entry, 4 bytes; length, 8 bytes; both big-endian), the bytes, and one byte that says
 * whether the file still was as listed when all of it was read (0) or had changed meanwhile (1).
 */
export const fileHeadBytes = 12;
export const fileEndBytes = 1;

export function fileHead(entry: number, sizeBytes: number): Buffer {
  const head = Buffer.allocUnsafe(fileHeadBytes);
  head.writeUInt32BE(entry, 0);
  head.writeBigUInt64BE(BigInt(sizeBytes), 4);
  return head;
}

export function fileEnd(asListed: boolean): Buffer {
  return Buffer.from([asListed ? 0 : 1]);
}

/** Takes the parts of a stream as they are found. Chunks are the sink's only until it returns. */
export interface FileSink {
  /** `offset` of the first byte in the stream. @throws for an entry that was not asked for, or another size. */
  start(entry: number, sizeBytes: number, offset: number): void;
  data(chunk: Uint8Array): void;
  end(asListed: boolean): void;
}

/**
 * Parses a stream; `keep` stores each chunk as it came, and is waited for before the next where it says so.
 * @throws `invalid-argument` for a stream that ends within a file; what the sink throws
 */
export async function readFiles(
  source: ByteSource,
  sink: FileSink,
  keep: (chunk: Uint8Array) => Promise<void> | undefined,
): Promise<void> {
  const parser = new FileParser(sink);
  for await (const chunk of source) {
    parser.take(chunk);
    await keep(chunk);
  }
  parser.finish();
}

class FileParser {
  readonly #sink: FileSink;
  readonly #head = Buffer.alloc(fileHeadBytes);
  #headFill = 0;
  #leftBytes = 0;
  #isInFile = false;
  #offset = 0;

  constructor(sink: FileSink) {
    this.#sink = sink;
  }

  take(chunk: Uint8Array): void {
    let at = 0;
    while (at < chunk.length) {
      if (!this.#isInFile) at = this.#takeHead(chunk, at);
      else if (this.#leftBytes > 0) {
        const end = Math.min(chunk.length, at + this.#leftBytes);
        this.#sink.data(chunk.subarray(at, end));
        this.#leftBytes -= end - at;
        at = end;
      } else {
        this.#isInFile = false;
        this.#sink.end(chunk[at++] === 0);
      }
    }
    this.#offset += chunk.length;
  }

  #takeHead(chunk: Uint8Array, from: number): number {
    const end = Math.min(chunk.length, from + fileHeadBytes - this.#headFill);
    this.#head.set(chunk.subarray(from, end), this.#headFill);
    this.#headFill += end - from;
    if (this.#headFill < fileHeadBytes) return end;
    this.#headFill = 0;
    this.#isInFile = true;
    this.#leftBytes = Number(this.#head.readBigUInt64BE(4));
    this.#sink.start(this.#head.readUInt32BE(0), this.#leftBytes, this.#offset + end);
    return end;
  }

  finish(): void {
    if (this.#isInFile || this.#headFill > 0) {
      throw new EngineError('invalid-argument', 'build context: the files that were asked for end early');
    }
  }
}
