import type { IncomingMessage } from 'node:http';
import { finished } from 'node:stream';
import { EngineError, isErrno } from '#errdefs';
import type { ByteSource } from '#streams';
import { wentAway } from './connection.ts';

/**
 * A request's body as bytes. A client that leaves in the middle ends it with `canceled`, never with a short body. A consumer that stops early leaves the
 * connection whole, so that a refusal can still be sent. With `lend`, a chunk is the consumer's only until it asks for the next.
 */
export async function* requestBody(
  request: IncomingMessage,
  { lend = false }: { lend?: boolean } = {},
): AsyncGenerator<Uint8Array> {
  try {
    if (lend) yield* lentBlocks(request);
    else yield* request.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>;
  } catch (error) {
    if (isErrno(error, 'ECONNRESET') || request.destroyed) throw wentAway(error);
    throw error;
  }
}

/** What is lent at once, at most. */
const blockBytes = 1 << 20;

/**
 * The body in two blocks that take turns: one is lent while the other is filled. The parser finds a body in pieces of some 32 KiB, and each would be
 * a turn of every loop that it passes through; what has come in one round of the event loop is lent as one. Other threads can read the blocks in place.
 */
async function* lentBlocks(request: IncomingMessage): AsyncGenerator<Uint8Array> {
  let filling = Buffer.from(new SharedArrayBuffer(blockBytes));
  let lent = Buffer.from(new SharedArrayBuffer(blockBytes));
  let filledBytes = 0;
  let excess: Buffer<ArrayBuffer> | undefined;
  let failure: Error | null | undefined;
  let over = request.readableEnded;
  let wake = () => {};
  const take = (piece: Buffer<ArrayBuffer>) => {
    const fitting = Math.min(piece.byteLength, blockBytes - filledBytes);
    piece.copy(filling, filledBytes, 0, fitting);
    filledBytes += fitting;
    if (fitting < piece.byteLength) {
      excess = piece.subarray(fitting);
      request.pause();
    } else giveBack(piece);
    wake();
  };
  const stop = finished(request, { writable: false }, (error) => {
    failure = error;
    over = true;
    wake();
  });
  request.on('data', take);
  try {
    while (true) {
      if (filledBytes === 0 && !over) {
        await new Promise<void>((resolve) => {
          wake = () => setImmediate(resolve);
          request.resume();
        });
        wake = () => {};
      }
      if (filledBytes === 0) break;
      [filling, lent] = [lent, filling];
      const block = lent.subarray(0, filledBytes);
      filledBytes = 0;
      const rest = excess;
      excess = undefined;
      if (rest) take(rest);
      if (!excess && !over) request.resume();
      yield block;
    }
  } finally {
    stop();
    request.off('data', take);
    request.pause();
  }
  if (failure) throw failure;
}

/**
 * Node's parser copies every piece of a body into memory of its own. Left to the garbage collector, 200 MB of that start collections of the whole heap that
 * cost more than reading and writing them; freed at once, the next piece lies where this one was.
 */
function giveBack({ buffer, byteLength }: Uint8Array<ArrayBuffer>): void {
  if (buffer.byteLength === byteLength) buffer.transfer(0);
}

/** Reads a small body whole. @throws `invalid-argument` once it is larger than `limitBytes`; the rest is not read. */
export async function readBody(source: ByteSource, limitBytes: number): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const chunk of source) {
    sizeBytes += chunk.byteLength;
    if (sizeBytes > limitBytes) throw new EngineError('invalid-argument', 'request body too large');
    parts.push(chunk);
  }
  return Buffer.concat(parts, sizeBytes);
}
