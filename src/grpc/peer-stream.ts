import { type ClientHttp2Stream, constants, type IncomingHttpHeaders } from 'node:http2';
import { EngineError, type ErrorKind } from '#errdefs';

/** A packet of a context is 32 kB; whoever sends more than this in one message means harm. */
const maxMessageBytes = 16 << 20;
const prefixBytes = 5;

/** gRPC status codes that say more than "it failed". */
const kinds: Readonly<Record<number, ErrorKind>> = {
  1: 'canceled',
  3: 'invalid-argument',
  4: 'deadline-exceeded',
  5: 'not-found',
  7: 'permission-denied',
  12: 'not-implemented',
  14: 'unavailable',
  16: 'unauthenticated',
};

/** One call, its messages as bytes (the framing is that of gRPC over HTTP/2). Disposing ends it, whatever the state. */
export class PeerStream implements Disposable {
  readonly #stream: ClientHttp2Stream;
  readonly #signal: AbortSignal;
  readonly #onAbort: () => void;
  #status: IncomingHttpHeaders | undefined;

  constructor(stream: ClientHttp2Stream, signal: AbortSignal) {
    this.#stream = stream;
    this.#signal = signal;
    const note = (headers: IncomingHttpHeaders) => {
      if (headers['grpc-status'] !== undefined) this.#status = headers;
    };
    stream.on('response', note);
    stream.on('trailers', note);
    stream.on('error', () => {});
    this.#onAbort = () => stream.close(constants.NGHTTP2_CANCEL);
    if (signal.aborted) this.#onAbort();
    else signal.addEventListener('abort', this.#onAbort, { once: true });
  }

  /** Resolves when there is room for more. Nothing happens when the other side has gone: `messages` tells. */
  async send(message: Uint8Array): Promise<void> {
    if (this.#stream.destroyed || this.#stream.closed || this.#stream.writableEnded) return;
    const prefix = Buffer.alloc(prefixBytes);
    prefix.writeUInt32BE(message.byteLength, 1);
    if (this.#stream.write(Buffer.concat([prefix, message]))) return;
    await new Promise<void>((resolve) => {
      const done = () => {
        this.#stream.off('drain', done);
        this.#stream.off('close', done);
        resolve();
      };
      this.#stream.on('drain', done);
      this.#stream.on('close', done);
    });
  }

  /** No more messages from us. */
  end(): void {
    if (!this.#stream.writableEnded) this.#stream.end();
  }

  /**
   * Messages until the other side ends the call. A message is the reader's until he asks for the next.
   * @throws EngineError with what the other side says went wrong; `unavailable` when it goes away
   */
  async *messages(): AsyncGenerator<Uint8Array> {
    const frames = new Frames();
    try {
      for await (const chunk of this.#stream as AsyncIterable<Buffer>) {
        frames.push(chunk);
        for (let message = frames.next(); message; message = frames.next()) yield message;
      }
    } catch (cause) {
      this.#signal.throwIfAborted();
      if (cause instanceof EngineError) throw cause;
      if (this.#status === undefined) throw gone(cause);
    }
    this.#signal.throwIfAborted();
    this.#requireSuccess(frames.leftBytes);
  }

  #requireSuccess(leftBytes: number): void {
    if (this.#status === undefined) throw gone(undefined);
    const code = Number(this.#status['grpc-status']);
    if (code === 0 && leftBytes === 0) return;
    if (code === 0) throw new EngineError('data-loss', 'the client ended a call within a message');
    throw new EngineError(kinds[code] ?? 'unknown', decoded(String(this.#status['grpc-message'] ?? '')));
  }

  [Symbol.dispose](): void {
    this.#signal.removeEventListener('abort', this.#onAbort);
    if (!this.#stream.closed) this.#stream.close(constants.NGHTTP2_CANCEL);
  }
}

/** Bytes cut into messages. A message in many pieces is put together once, when it is all there. */
class Frames {
  #chunks: Buffer[] = [];
  #bytes = 0;
  #neededBytes = prefixBytes;

  get leftBytes(): number {
    return this.#bytes;
  }

  push(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#bytes += chunk.byteLength;
  }

  /** @throws `invalid-argument` for a message that nobody may send */
  next(): Uint8Array | undefined {
    if (this.#bytes < this.#neededBytes) return undefined;
    const bytes = this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks);
    const end = prefixBytes + messageSize(bytes);
    const isWhole = bytes.byteLength >= end;
    const rest = isWhole ? bytes.subarray(end) : bytes;
    this.#chunks = rest.byteLength > 0 ? [rest] : [];
    this.#bytes = rest.byteLength;
    this.#neededBytes = isWhole ? prefixBytes : end;
    return isWhole ? bytes.subarray(prefixBytes, end) : undefined;
  }
}

function messageSize(bytes: Buffer): number {
  if (bytes[0] !== 0) throw new EngineError('invalid-argument', 'a compressed message, which nobody asked for');
  const sizeBytes = bytes.readUInt32BE(1);
  if (sizeBytes > maxMessageBytes) throw new EngineError('invalid-argument', `a message of ${sizeBytes} bytes`);
  return sizeBytes;
}

/** Messages are percent-encoded where they are not ASCII. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function gone(cause: unknown): EngineError {
  return new EngineError('unavailable', 'the client of the build has gone away', { cause });
}
