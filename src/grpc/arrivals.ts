import type { ClientHttp2Stream } from 'node:http2';

/** What may wait for its reader before the other side is slowed down. */
const maxWaitingBytes = 1 << 20;

/**
 * The bytes of a call as they come, kept until they are asked for. A stream's own iterator takes several turns of the queue for each of its chunks, and a
 * context comes in tens of thousands. Dispose ends the call where it has not ended.
 */
export class Arrivals implements Disposable {
  readonly #stream: ClientHttp2Stream;
  #waiting: Buffer[] = [];
  #at = 0;
  #waitingBytes = 0;
  #ended = false;
  #failure: { readonly cause: unknown } | undefined;
  #wake: (() => void) | undefined;

  constructor(stream: ClientHttp2Stream) {
    this.#stream = stream;
    stream.on('data', this.#onData).on('end', this.#onEnd).on('error', this.#onLost).on('close', this.#onLost);
    if (stream.closed && stream.readableEnded) this.#onEnd();
    else if (stream.destroyed) this.#onLost();
  }

  /** What has come already. */
  here(): Buffer | undefined {
    const chunk = this.#waiting[this.#at];
    if (!chunk) return undefined;
    if (++this.#at === this.#waiting.length) {
      this.#waiting = [];
      this.#at = 0;
    }
    this.#waitingBytes -= chunk.byteLength;
    if (this.#waitingBytes < maxWaitingBytes && this.#stream.isPaused()) this.#stream.resume();
    return chunk;
  }

  /** When nothing is here: waits for more, answers false at the end. @throws what went wrong, also where the call breaks off */
  async more(): Promise<boolean> {
    while (this.#waiting.length === 0) {
      if (this.#ended) return false;
      if (this.#failure) throw this.#failure.cause;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return true;
  }

  [Symbol.dispose](): void {
    const stream = this.#stream;
    stream.off('data', this.#onData).off('end', this.#onEnd).off('error', this.#onLost).off('close', this.#onLost);
    if (!this.#ended) stream.destroy();
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#waiting.push(chunk);
    this.#waitingBytes += chunk.byteLength;
    if (this.#waitingBytes >= maxWaitingBytes) this.#stream.pause();
    this.#tell();
  };

  readonly #onEnd = (): void => {
    this.#ended = true;
    this.#tell();
  };

  readonly #onLost = (error?: Error): void => {
    this.#failure ??= { cause: error ?? new Error('the stream was closed before its end') };
    this.#tell();
  };

  #tell(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}
