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
    if (lend) yield* lentPieces(request);
    else yield* request.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>;
  } catch (error) {
    if (isErrno(error, 'ECONNRESET') || request.destroyed) throw wentAway(error);
    throw error;
  }
}

/** Far above what one read of a socket brings: a consumer that keeps up is never waited for. */
const heldLimitBytes = 256 << 10;

/** The pieces as the parser finds them: Node's iterator would join what has come together, in memory of its own again. */
async function* lentPieces(request: IncomingMessage): AsyncGenerator<Uint8Array> {
  const held: Uint8Array<ArrayBuffer>[] = [];
  let heldBytes = 0;
  let failure: Error | null | undefined;
  let over = request.readableEnded;
  let wake = () => {};
  const take = (piece: Buffer<ArrayBuffer>) => {
    held.push(piece);
    heldBytes += piece.byteLength;
    if (heldBytes > heldLimitBytes) request.pause();
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
      for (let piece = held.shift(); piece !== undefined; piece = held.shift()) {
        heldBytes -= piece.byteLength;
        yield piece;
        giveBack(piece);
      }
      if (over) break;
      await new Promise<void>((resolve) => {
        wake = resolve;
        request.resume();
      });
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
