import { isKind } from '#errdefs';
import { ByteQueue, type ByteSource } from '#streams';
import { RegistryError } from './errors.ts';
import { type ResumeOptions, resumable } from './resumable.ts';
import type { BlobAnswer, CallOptions } from './types.ts';

/** Bytes from `offset`, to the end of the blob; or to `end`, where the server knows ranges. */
export type OpenRange = (offset: number, piece?: PieceCall) => Promise<BlobAnswer>;

export interface PieceCall extends Pick<CallOptions, 'onRetry'> {
  readonly end: number;
  readonly signal: AbortSignal;
}

export interface ReadAheadOptions
  extends Pick<ResumeOptions, 'what' | 'sizeBytes' | 'signal' | 'firstDelayMs' | 'onRetry'> {
  readonly pieceBytes: number;
}

interface Piece {
  readonly start: number;
  readonly end: number;
  readonly bytes: ByteQueue;
  readonly abort: AbortController;
  readonly signal: AbortSignal;
  /** The server has begun to send this very range. */
  isComing: boolean;
}

/** Pieces in memory beyond those that connections are at work on. */
const spare = 1;
/** Whoever reads in order has more patience, and is told what is waited for. */
const attempts = 2;
const maxOvertakings = 3;

/**
 * Pieces of a blob that are fetched before their turn, each over a connection of its own, held in memory until they are taken in order. An
 * accelerator: what it does not bring, the reader fetches by itself. A server that knows no ranges, or refuses one, is asked for no more of them.
 */
export class ReadAhead implements AsyncDisposable {
  readonly #open: OpenRange;
  readonly #options: ReadAheadOptions;
  readonly #pieces: Piece[] = [];
  readonly #running = new Set<Promise<void>>();
  #next = 0;
  #connections = 0;
  #isTaken = false;
  #overtakings = 0;
  #isRefused = false;
  /** What has come over these connections so far. */
  arrivedBytes = 0;

  constructor(open: OpenRange, options: ReadAheadOptions) {
    this.#open = open;
    this.#options = options;
  }

  get isRefused(): boolean {
    return this.#isRefused;
  }

  /** Connections at work at once, the reader's own included. Where no piece is under way, the first begins at `from`: until there the reader goes by itself. */
  grow(connections: number, from: number): void {
    this.#connections = connections;
    if (this.#pieces.length === 0) this.#next = Math.max(this.#next, from);
    this.#fill();
  }

  /** Where the reader, who stands at `offset`, meets the first piece that is coming; nowhere when none is. */
  meetingPoint(offset: number): number {
    const [first] = this.#pieces;
    if (!first) return Number.POSITIVE_INFINITY;
    if (first.start < offset || (first.start === offset && !first.isComing)) this.#overtaken(offset);
    return this.#pieces[0]?.isComing ? this.#pieces[0].start : Number.POSITIVE_INFINITY;
  }

  /** The pieces from `offset` on, in order, while there are any. @throws what keeps one of them from coming. */
  async *take(offset: number): AsyncGenerator<Uint8Array> {
    this.#isTaken = true;
    try {
      for (let at = offset; ; ) {
        this.#fill();
        // The connections of the last pieces may only just be ending.
        if (this.#pieces.length === 0 && this.#next === at && this.#isWanted()) this.#begin();
        const [piece] = this.#pieces;
        if (piece?.start !== at) return;
        try {
          yield* piece.bytes;
        } finally {
          this.#pieces.shift();
        }
        at = piece.end;
      }
    } finally {
      this.#isTaken = false;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isRefused = true;
    this.#drop();
    await Promise.all(this.#running);
  }

  /** The reader came before the piece did: the next one gets more time. If that does not help, other connections are no gain. */
  #overtaken(offset: number): void {
    this.#drop();
    this.#next = Math.max(this.#next, offset + (this.#options.pieceBytes << ++this.#overtakings));
    if (this.#overtakings > maxOvertakings) this.#isRefused = true;
  }

  #drop(): void {
    for (const piece of this.#pieces.splice(0)) piece.abort.abort();
  }

  #fill(): void {
    const limit = this.#isTaken ? this.#connections : this.#connections - 1;
    const mostPieces = this.#connections + spare;
    while (this.#running.size < limit && this.#pieces.length < mostPieces && this.#isWanted()) this.#begin();
  }

  #isWanted(): boolean {
    return !this.#isRefused && this.#next < this.#options.sizeBytes;
  }

  #begin(): void {
    const { sizeBytes, pieceBytes, signal } = this.#options;
    const start = this.#next;
    const end = Math.min(start + pieceBytes, sizeBytes);
    const bytes = new ByteQueue({ limitBytes: Number.POSITIVE_INFINITY });
    const abort = new AbortController();
    const ended = signal ? AbortSignal.any([signal, abort.signal]) : abort.signal;
    const piece: Piece = { start, end, bytes, abort, signal: ended, isComing: false };
    this.#next = end;
    this.#pieces.push(piece);
    const fetching: Promise<void> = this.#fetch(piece).finally(() => {
      this.#running.delete(fetching);
      this.#fill();
    });
    this.#running.add(fetching);
  }

  /** Never rejects: whoever reads the piece is told. */
  async #fetch(piece: Piece): Promise<void> {
    try {
      const { start, end: sizeBytes, signal } = piece;
      const options = { ...this.#options, onRetry: () => {}, attempts, offset: start, sizeBytes, signal };
      const bytes = resumable((offset) => this.#range(piece, offset), options);
      for await (const chunk of bytes) {
        this.arrivedBytes += chunk.byteLength;
        piece.bytes.push(chunk);
      }
      piece.bytes.end();
    } catch (error) {
      if (!piece.signal.aborted && !isBroken(error)) this.#isRefused = true;
      piece.bytes.fail(error);
    }
  }

  async #range(piece: Piece, offset: number): Promise<BlobAnswer> {
    const { end, signal } = piece;
    const answer = await this.#open(offset, {
      end,
      signal,
      onRetry: (delayMs, why) => {
        // One connection may be all that the server wants to give.
        if (why instanceof RegistryError && why.status !== undefined) this.#isRefused = true;
        this.#options.onRetry?.(delayMs, why);
      },
    });
    if (answer.offset !== offset) {
      await closed(answer.source);
      throw new RegistryError('not-implemented', `${this.#options.what}: the server knows no ranges`);
    }
    piece.isComing = true;
    return { ...answer, source: firstBytes(answer.source, end - offset) };
  }
}

/** A connection that broke says nothing about the next one. */
function isBroken(error: unknown): boolean {
  return error instanceof RegistryError ? error.retryable && error.status === undefined : isKind(error, 'unavailable');
}

async function closed(source: ByteSource): Promise<void> {
  for await (const _ of source) return;
}

async function* firstBytes(source: ByteSource, lengthBytes: number): AsyncGenerator<Uint8Array> {
  let left = lengthBytes;
  for await (const chunk of source) {
    yield chunk.byteLength > left ? chunk.subarray(0, left) : chunk;
    left -= chunk.byteLength;
    if (left <= 0) return;
  }
}
