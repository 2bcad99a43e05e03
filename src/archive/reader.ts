import type { ByteSource } from '#streams';
import { TarParser, type TarParserOptions } from './parser.ts';
import type { TarEntry } from './types.ts';

/** An entry with its content. */
export interface TarItem extends TarEntry {
  /**
   * The file as it reads, holes as zeros. Single use, and only until the next entry is asked for; what is not read is skipped.
   * Chunks are views into the source's chunks.
   */
  readonly body: ByteSource;
}

type Event = TarEntry | Buffer;

const zeros = Buffer.alloc(1 << 16);

/**
 * The entries of a tar, in order. Reads the source to its end (past the end marker too), and releases it when left early.
 * @throws EngineError `invalid-argument` when it is not a well-formed tar.
 */
export async function* readTar(
  source: ByteSource,
  options: TarParserOptions = {},
): AsyncGenerator<TarItem, void, undefined> {
  const events = new EventQueue(source, options);
  try {
    while (true) {
      const event = await events.next();
      if (event === undefined) return;
      if (Buffer.isBuffer(event)) continue;
      yield { ...event, body: readBody(event, events) };
    }
  } finally {
    await events.release();
  }
}

/** The parser's calls as a queue that reads on when it is empty. */
class EventQueue {
  readonly #chunks: AsyncIterator<Uint8Array>;
  readonly #parser: TarParser;
  #events: Event[] = [];
  #at = 0;
  #done = false;
  /** Entries handed out so far: a body whose turn is over reads nothing. */
  turn = 0;

  constructor(source: ByteSource, options: TarParserOptions) {
    this.#chunks = source[Symbol.asyncIterator]();
    const push = (event: Event) => this.#events.push(event);
    this.#parser = new TarParser({ entry: push, data: push }, options);
  }

  async peek(): Promise<Event | undefined> {
    while (this.#at === this.#events.length) {
      this.#events = [];
      this.#at = 0;
      if (this.#done) return undefined;
      const { value, done } = await this.#chunks.next();
      if (done) {
        this.#done = true;
        this.#parser.end();
      } else this.#parser.write(value);
    }
    return this.#events[this.#at];
  }

  async next(): Promise<Event | undefined> {
    const event = await this.peek();
    if (event === undefined) return undefined;
    this.#at++;
    if (!Buffer.isBuffer(event)) this.turn++;
    return event;
  }

  async release(): Promise<void> {
    if (!this.#done) await this.#chunks.return?.();
  }
}

async function* readBody(entry: TarEntry, events: EventQueue): AsyncGenerator<Uint8Array> {
  const turn = events.turn;
  const stored = readStored(entry, events, turn);
  if (entry.sparse === undefined) yield* stored;
  else yield* expand(entry, stored);
}

async function* readStored(entry: TarEntry, events: EventQueue, turn: number): AsyncGenerator<Buffer> {
  for (let left = entry.storedBytes; left > 0; ) {
    if (events.turn !== turn) return;
    const event = await events.next();
    if (!Buffer.isBuffer(event)) return;
    left -= event.length;
    yield event;
  }
}

/** Stored data with zeros between and after its segments. */
async function* expand(entry: TarEntry, stored: AsyncIterable<Buffer>): AsyncGenerator<Uint8Array> {
  let at = 0;
  let storedAt = 0;
  const segments = (entry.sparse ?? []).values();
  let segment = segments.next().value;
  for await (const chunk of stored) {
    for (let taken = 0; taken < chunk.length && segment !== undefined; ) {
      const within = storedAt - segment.storedOffset;
      yield* zeroRun(segment.offset + within - at);
      const length = Math.min(chunk.length - taken, segment.lengthBytes - within);
      yield chunk.subarray(taken, taken + length);
      taken += length;
      storedAt += length;
      at = segment.offset + within + length;
      if (within + length === segment.lengthBytes) segment = segments.next().value;
    }
  }
  yield* zeroRun(entry.sizeBytes - at);
}

function* zeroRun(lengthBytes: number): Generator<Uint8Array> {
  for (let left = lengthBytes; left > 0; left -= zeros.length)
    yield left < zeros.length ? zeros.subarray(0, left) : zeros;
}
