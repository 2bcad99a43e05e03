import { read as readFile } from 'node:fs';
import { promisify } from 'node:util';
import { EngineError } from '#errdefs';
import type { ByteSource } from './index.ts';

/** A run of bytes in a file, which is open until the next part is asked for. */
export interface FilePart {
  readonly fd: number;
  readonly offset: number;
  readonly lengthBytes: number;
  /** It is open for longer: until whoever takes the source is done with it. */
  readonly staysOpen?: true;
}

export type Part = Uint8Array | FilePart;

const readAt = promisify(readFile);

const chunkBytes = 1 << 20;

/** Bytes of which some lie in files. Who iterates it gets them all; who can hand files to the kernel takes the parts instead. One of the two, once. */
export class PartedSource implements ByteSource {
  readonly #parts: AsyncIterable<Part>;

  constructor(parts: AsyncIterable<Part>) {
    this.#parts = parts;
  }

  get parts(): AsyncIterable<Part> {
    return this.#parts;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    for await (const part of this.#parts) yield* bytesOfPart(part);
  }
}

/** Every chunk is a buffer of its own, read one ahead of the consumer. @throws `data-loss` where a file is too short. */
export async function* bytesOfPart(part: Part): AsyncGenerator<Uint8Array> {
  if (part instanceof Uint8Array) {
    yield part;
    return;
  }
  const { fd, offset, lengthBytes } = part;
  const chunkAt = async (from: number) => {
    const chunk = Buffer.allocUnsafeSlow(Math.min(chunkBytes, lengthBytes - from));
    const { bytesRead } = await readAt(fd, chunk, 0, chunk.length, offset + from);
    if (bytesRead === 0) throw new EngineError('data-loss', `read file: it ends at byte ${offset + from}`);
    return chunk.subarray(0, bytesRead);
  };
  let next = lengthBytes > 0 ? chunkAt(0) : undefined;
  try {
    for (let done = 0; next; ) {
      const chunk = await next;
      done += chunk.length;
      next = done < lengthBytes ? chunkAt(done) : undefined;
      // The consumer may leave before it awaits this read.
      next?.catch(() => {});
      yield chunk;
    }
  } finally {
    await next?.catch(() => {});
  }
}
