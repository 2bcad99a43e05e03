import { type ClientHttp2Stream, constants, type IncomingHttpHeaders } from 'node:http2';
import { EngineError, type ErrorKind } from '#errdefs';
import { Arrivals } from './arrivals.ts';

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
  async send(...messages: readonly Uint8Array[]): Promise<void> {
    if (this.#stream.destroyed || this.#stream.closed || this.#stream.writableEnded) return;
    if (this.#stream.write(framed(messages))) return;
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
    using reader = this.reader();
    do {
      for (let message = reader.here(); message; message = reader.here()) yield message;
    } while (await reader.wait());
  }

  /** The same for who has many small ones to read and no turn of the event loop for each. There is one reader of a call. */
  reader(): MessageReader {
    const arrivals = new Arrivals(this.#stream);
    const frames = new Frames();
    return {
      here: () => {
        while (true) {
          const message = frames.next();
          const chunk = message ? undefined : arrivals.here();
          if (!chunk) return message;
          frames.push(chunk);
        }
      },
      wait: async () => {
        if (await this.#hasMore(arrivals)) return true;
        this.#requireSuccess(frames.leftBytes);
        return false;
      },
      [Symbol.dispose]: () => arrivals[Symbol.dispose](),
    };
  }

  async #hasMore(arrivals: Arrivals): Promise<boolean> {
    try {
      if (await arrivals.more()) return true;
      this.#signal.throwIfAborted();
    } catch (cause) {
      this.#signal.throwIfAborted();
      if (this.#status === undefined) throw gone(cause);
    }
    return false;
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

export interface MessageReader extends Disposable {
  /** A message that has come already, the reader's until he asks again. */
  here(): Uint8Array | undefined;
  /** When nothing is here: waits for more, answers false when the call has ended well. @throws as {@link PeerStream.messages} does */
  wait(): Promise<boolean>;
}

/** Each message with the prefix that says how long it is. */
function framed(messages: readonly Uint8Array[]): Buffer {
  const bytes = Buffer.allocUnsafe(messages.reduce((sum, { byteLength }) => sum + prefixBytes + byteLength, 0));
  let at = 0;
  for (const message of messages) {
    bytes[at] = 0;
    bytes.writeUInt32BE(message.byteLength, at + 1);
    bytes.set(message, at + prefixBytes);
    at += prefixBytes + message.byteLength;
  }
  return bytes;
}

/** Bytes cut into messages. One in several pieces is put together in memory that the next one uses again. */
class Frames {
  #chunk: Buffer = Buffer.alloc(0);
  #at = 0;
  #partial: Buffer = Buffer.allocUnsafe(64 << 10);
  #partialBytes = 0;

  get leftBytes(): number {
    return this.#partialBytes + this.#chunk.byteLength - this.#at;
  }

  /** When {@link next} has nothing more. */
  push(chunk: Buffer): void {
    this.#chunk = chunk;
    this.#at = 0;
  }

  /** Valid until the next call. @throws `invalid-argument` for a message that nobody may send */
  next(): Uint8Array | undefined {
    if (this.#partialBytes > 0) return this.#complete();
    const end = this.#at + prefixBytes;
    const left = this.#chunk.byteLength - this.#at;
    const sizeBytes = left < prefixBytes ? 0 : messageSize(this.#chunk, this.#at);
    if (left >= prefixBytes + sizeBytes) {
      this.#at = end + sizeBytes;
      return this.#chunk.subarray(end, this.#at);
    }
    this.#keep(left);
    return undefined;
  }

  #complete(): Uint8Array | undefined {
    if (!this.#fill(prefixBytes)) return undefined;
    const end = prefixBytes + messageSize(this.#partial, 0);
    if (!this.#fill(end)) return undefined;
    this.#partialBytes = 0;
    return this.#partial.subarray(prefixBytes, end);
  }

  /** Takes from the chunk what is missing to so many bytes; false when that is not enough. */
  #fill(bytes: number): boolean {
    const missing = bytes - this.#partialBytes;
    if (missing > 0) this.#keep(Math.min(missing, this.#chunk.byteLength - this.#at));
    return this.#partialBytes >= bytes;
  }

  #keep(bytes: number): void {
    const needed = this.#partialBytes + bytes;
    if (needed > this.#partial.byteLength) {
      const larger = Buffer.allocUnsafe(Math.max(needed, Math.min(2 * this.#partial.byteLength, maxMessageBytes)));
      this.#partial.copy(larger, 0, 0, this.#partialBytes);
      this.#partial = larger;
    }
    this.#chunk.copy(this.#partial, this.#partialBytes, this.#at, this.#at + bytes);
    this.#partialBytes = needed;
    this.#at += bytes;
  }
}

function messageSize(bytes: Buffer, at: number): number {
  if (bytes[at] !== 0) throw new EngineError('invalid-argument', 'a compressed message, which nobody asked for');
  const sizeBytes = bytes.readUInt32BE(at + 1);
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
