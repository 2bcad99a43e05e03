import type { IncomingMessage } from 'node:http';
import { EngineError, isErrno } from '#errdefs';
import type { ByteSource } from '#streams';
import { wentAway } from './connection.ts';

/**
 * A request's body as bytes. A client that leaves in the middle ends it with `canceled`, never with a short body. A consumer that stops early leaves the
 * connection whole, so that a refusal can still be sent.
 */
export async function* requestBody(request: IncomingMessage): AsyncGenerator<Uint8Array> {
  try {
    yield* request.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>;
  } catch (error) {
    if (isErrno(error, 'ECONNRESET') || request.destroyed) throw wentAway(error);
    throw error;
  }
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
