import type { Duplex } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { EngineError, isErrno } from '#errdefs';
import { ByteQueue, type ByteSource } from '#streams';

const lingerMs = 500;

/**
 * A raw two-way connection: a hijacked HTTP connection, seen from either side. Input that arrives before anyone reads is kept, up to a bound; beyond it the
 * peer waits. The owner calls `destroy`, or lets both directions end.
 */
export class Connection implements AsyncDisposable {
  readonly #socket: Duplex;
  readonly #queue: ByteQueue;
  readonly #closed: Promise<void>;
  #failure: unknown;
  #discarding = false;
  #gathering = false;

  /** `head` are bytes already read past the HTTP message. */
  constructor(socket: Duplex, head?: Uint8Array) {
    this.#socket = socket;
    this.#queue = new ByteQueue({ limitBytes: 256 << 10, onReturn: () => socket.resume() });
    if (head !== undefined && head.byteLength > 0) this.#queue.push(head);
    this.#closed = new Promise((resolve) => socket.once('close', () => resolve()));
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.once('end', () => this.#queue.end());
    socket.on('error', (error: Error) => {
      this.#failure ??= error;
      this.#queue.fail(wentAway(error));
    });
    socket.once('close', () => this.#queue.end());
    socket.resume();
  }

  #receive(chunk: Buffer): void {
    if (this.#discarding) return;
    if (this.#queue.push(chunk)) return;
    this.#socket.pause();
    void this.#queue.drained().then(() => this.#socket.resume());
  }

  /** What the peer sends, until it closes its half. One consumer. */
  get input(): ByteSource {
    return this.#queue;
  }

  /** Resolves when both directions are gone, whatever the reason. */
  get closed(): Promise<void> {
    return this.#closed;
  }

  /** Resolves when the kernel or the buffer has room for more. @throws `canceled` when the peer has gone. */
  async write(data: Uint8Array): Promise<void> {
    this.#assertOpen();
    if (data.byteLength === 0) return;
    this.#gather();
    if (this.#socket.write(data)) return;
    await this.#drained();
    this.#assertOpen();
  }

  /** What is written in one turn of the loop leaves in one call. */
  #gather(): void {
    if (this.#gathering) return;
    this.#gathering = true;
    this.#socket.cork();
    process.nextTick(() => {
      this.#gathering = false;
      this.#socket.uncork();
    });
  }

  /** Ends our half once everything written has left; the peer may still send. */
  async end(): Promise<void> {
    if (this.#socket.destroyed || this.#socket.writableEnded) return;
    await new Promise<void>((resolve) => {
      this.#socket.once('close', resolve);
      this.#socket.end(() => resolve());
    });
  }

  /** Cuts both directions at once. */
  destroy(): void {
    this.#socket.destroy();
  }

  /**
   * Ends our half and gives the peer a moment to read it and close: cutting a socket with unread input would take the last bytes we sent with it.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#discarding = true;
    this.#socket.resume();
    await this.end();
    await Promise.race([this.#closed, delay(lingerMs, undefined, { ref: false })]);
    this.destroy();
    await this.#closed;
  }

  #assertOpen(): void {
    if (this.#socket.destroyed || this.#socket.writableEnded) throw wentAway(this.#failure);
  }

  async #drained(): Promise<void> {
    const socket = this.#socket;
    await new Promise<void>((resolve) => {
      const done = () => {
        socket.off('drain', done);
        socket.off('close', done);
        resolve();
      };
      socket.on('drain', done);
      socket.on('close', done);
    });
  }
}

/** The error of a peer that closed its connection. */
export function wentAway(cause: unknown): EngineError {
  return new EngineError('canceled', 'connection closed by the peer', { cause });
}

/** True for the system errors of a peer that left. */
export function isDisconnect(error: unknown): boolean {
  return ['ECONNRESET', 'EPIPE', 'ERR_STREAM_PREMATURE_CLOSE', 'ERR_STREAM_DESTROYED'].some((code) =>
    isErrno(error, code),
  );
}
