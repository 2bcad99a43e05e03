import { type OpenRange, ReadAhead } from './read-ahead.ts';
import { type ResumeOptions, resumable } from './resumable.ts';

export interface ParallelOptions extends ResumeOptions {
  /** Connections for this blob at most; one keeps to the stream it began with. */
  readonly connections: number;
  readonly pieceBytes?: number;
  /** How long the line is watched before another connection is opened, and after that; one is made and answered in that time. */
  readonly lookMs?: number;
}

const defaultPieceBytes = 4 << 20;
const defaultLookMs = 400;
/** A connection that brings more than this is not what is waited for. */
const fastBytesPerSecond = 100e6;
/** Bringing less than so many times what came before, more connections were no help. */
const worthwhileGain = 1.15;
/** That connections get to show what they bring. */
const patientLooks = 3;

/**
 * A blob in order, over several connections where one is slow and the server answers ranges. It begins with one. While the reader waits for bytes
 * more than it works on them, connections are added, twice as many each time, for as long as that brings more. What breaks goes on where it stopped, as
 * with {@link resumable}; for a part of it `open` is told where that ends.
 */
export async function* parallelRead(open: OpenRange, options: ParallelOptions): AsyncGenerator<Uint8Array> {
  const { sizeBytes, signal, connections, pieceBytes = defaultPieceBytes } = options;
  let { offset = 0 } = options;
  if (connections < 2 || sizeBytes - offset <= 2 * pieceBytes) return yield* resumable(open, options);
  await using ahead = new ReadAhead(open, { ...options, pieceBytes });
  const pace = new Pace(ahead, options);
  do {
    if (offset < ahead.meetingPoint(offset)) {
      for await (const chunk of pace.timed(resumable(open, { ...options, offset }))) {
        const wanted = chunk.subarray(0, ahead.meetingPoint(offset) - offset);
        offset += wanted.byteLength;
        pace.count(wanted.byteLength);
        yield wanted;
        if (offset >= ahead.meetingPoint(offset)) break;
        pace.look(offset, pieceBytes);
      }
    }
    try {
      for await (const chunk of pace.timed(ahead.take(offset))) {
        offset += chunk.byteLength;
        yield chunk;
        pace.look(offset, pieceBytes);
      }
    } catch {
      // The connection that is opened next says what is wrong, if it still is.
      signal?.throwIfAborted();
    }
  } while (offset < sizeBytes);
}

/** Watches what comes, and decides how many connections there are. */
class Pace {
  readonly #ahead: ReadAhead;
  readonly #limit: number;
  readonly #lookMs: number;
  #connections = 1;
  #ownBytes = 0;
  #waitedMs = 0;
  /** From the first byte on: what a request takes says nothing about the line. */
  #sinceMs = 0;
  #bytesBefore = 0;
  /** With fewer connections. */
  #rateBefore = 0;
  /** Since connections were added last, without their having been any help. */
  #looks = 0;
  #isDone = false;

  constructor(ahead: ReadAhead, { connections, lookMs = defaultLookMs }: ParallelOptions) {
    this.#ahead = ahead;
    this.#limit = connections;
    this.#lookMs = lookMs;
  }

  /** Bytes of the first connection. */
  count(bytes: number): void {
    this.#ownBytes += bytes;
  }

  /** The source, with the time that is spent waiting for it noted. */
  async *timed(source: AsyncGenerator<Uint8Array>): AsyncGenerator<Uint8Array> {
    try {
      for (;;) {
        const askedMs = performance.now();
        const next = await source.next();
        this.#waitedMs += performance.now() - askedMs;
        if (next.done) return;
        yield next.value;
      }
    } finally {
      await source.return(undefined);
    }
  }

  look(offset: number, pieceBytes: number): void {
    if (this.#sinceMs === 0) this.#begin();
    const tookMs = performance.now() - this.#sinceMs;
    if (this.#isDone || tookMs < this.#lookMs) return;
    const arrivedBytes = this.#ownBytes + this.#ahead.arrivedBytes;
    const rate = ((arrivedBytes - this.#bytesBefore) / tookMs) * 1000;
    const isWaiting = this.#waitedMs > tookMs / 2;
    this.#sinceMs += tookMs;
    this.#bytesBefore = arrivedBytes;
    this.#waitedMs = 0;
    if (!isWaiting || rate > fastBytesPerSecond * this.#connections) return;
    const isHelped = rate > this.#rateBefore * worthwhileGain;
    // Connections that were just added begin at the first look, and may be seen badly at the second.
    if (!isHelped && ++this.#looks <= patientLooks) return;
    this.#isDone = !isHelped || this.#ahead.isRefused || this.#connections === this.#limit;
    if (this.#isDone) return;
    this.#looks = 0;
    this.#rateBefore = rate;
    this.#connections = Math.min(2 * this.#connections, this.#limit);
    this.#ahead.grow(this.#connections, Math.round(offset + Math.max(pieceBytes, (rate * this.#lookMs) / 1000)));
  }

  #begin(): void {
    this.#sinceMs = performance.now();
    this.#waitedMs = 0;
    this.#bytesBefore = this.#ownBytes;
  }
}
