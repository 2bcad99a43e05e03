import { type FileHandle, open } from 'node:fs/promises';
import type { Semaphore } from '#concurrency';
import { EngineError, isErrno } from '#errdefs';
import type { Digest } from '#oci';

/** Large enough that a gigabyte is a thousand trips through the thread pool. */
const chunkBytes = 1 << 20;

export interface ReadRequest {
  readonly path: string;
  readonly digest: Digest;
  readonly offset: number;
  readonly length: number | undefined;
  /** Bounds the descriptors readers hold at once. */
  readonly descriptors: Semaphore;
}

/** A blob's bytes, one chunk read ahead of the consumer. Every chunk is a buffer of its own. */
export async function* readBlob(request: ReadRequest): AsyncGenerator<Uint8Array> {
  using _descriptor = await request.descriptors.acquire();
  await using file = await openBlob(request.path, request.digest);
  const { size } = await file.stat();
  if (request.offset > size) {
    throw new EngineError(
      'out-of-range',
      `read blob ${request.digest}: offset ${request.offset} is beyond its ${size} bytes`,
    );
  }
  const end = Math.min(size, request.offset + (request.length ?? size));
  let position = request.offset;
  let next = position < end ? readChunk(file, position, end) : undefined;
  try {
    while (next) {
      const chunk = await next;
      next = undefined;
      if (chunk.length === 0)
        throw new EngineError('data-loss', `read blob ${request.digest}: it ended at ${position}, want ${end}`);
      position += chunk.length;
      if (position < end) {
        next = readChunk(file, position, end);
        // The consumer may leave before it awaits this read.
        next.catch(() => {});
      }
      yield chunk;
    }
  } finally {
    await next?.catch(() => {});
  }
}

async function readChunk(file: FileHandle, position: number, end: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafeSlow(Math.min(chunkBytes, end - position));
  const { bytesRead } = await file.read(buffer, 0, buffer.length, position);
  return buffer.subarray(0, bytesRead);
}

async function openBlob(path: string, digest: Digest): Promise<FileHandle> {
  try {
    return await open(path, 'r');
  } catch (error) {
    if (isErrno(error, 'ENOENT'))
      throw new EngineError('not-found', `open blob ${digest}: not found`, { cause: error });
    throw error;
  }
}
