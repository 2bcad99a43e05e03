import type { FileHandle } from 'node:fs/promises';
import { LogChanges } from './log-changes.ts';
import { openLogFiles } from './log-files.ts';
import { LogFramer } from './log-framer.ts';
import { LogLines } from './log-lines.ts';
import { findTail } from './log-tail.ts';
import type { LogQuery } from './types.ts';

const nanosPerMilli = 1_000_000n;

/**
 * The messages of a log conmon writes, oldest first, as a multiplexed stream: many frames at a time, one per message. `tail` counts messages
 * of both streams, before the other filters, as Docker does. A log that is not there has none.
 */
export async function* readLog(path: string, query: LogQuery): AsyncGenerator<Uint8Array> {
  query.signal?.throwIfAborted();
  const source = await LogSource.open(path);
  if (source === undefined) return;
  try {
    const skip = query.tail === undefined ? 0 : await source.seekToTail(query.tail, query.unfinished ?? false);
    const framer = new LogFramer({ ...query, skip });
    let isComplete = query.unfinished ?? false;
    if (query.follow) isComplete = yield* follow(source, path, framer, query);
    else yield* framed(source, framer, query);
    if (!isComplete || framer.isPast) return;
    const rest = framer.rest();
    if (rest.length > 0) yield rest;
  } finally {
    await source.close();
  }
}

/** What is there now. */
async function* framed(source: LogSource, framer: LogFramer, query: LogQuery): AsyncGenerator<Uint8Array> {
  for await (const lines of source.rest()) {
    query.signal?.throwIfAborted();
    const frames = framer.frames(lines);
    if (frames.length > 0) yield frames;
    if (framer.isPast) return;
  }
}

/** Ends when the container's end has come and everything written by then is read, which is true then, or at the query's end. */
async function* follow(
  source: LogSource,
  path: string,
  framer: LogFramer,
  query: LogQuery,
): AsyncGenerator<Uint8Array, boolean> {
  using changes = new LogChanges(path);
  const stop = () => changes.notify();
  query.signal?.addEventListener('abort', stop, { once: true });
  let ended = false;
  const onEnded = () => {
    ended = true;
    changes.notify();
  };
  query.ended?.then(onEnded, onEnded);
  if (query.untilNs !== undefined) changes.notifyAt(Number(query.untilNs / nanosPerMilli));
  try {
    while (true) {
      const wasEnded = ended;
      const wasPast = isPast(query.untilNs);
      yield* framed(source, framer, query);
      if (framer.isPast) return false;
      if (await source.findNewer()) continue;
      if (wasEnded || wasPast) return wasEnded;
      await changes.wait();
      query.signal?.throwIfAborted();
    }
  } finally {
    query.signal?.removeEventListener('abort', stop);
  }
}

const isPast = (timeNs: bigint | undefined) => timeNs !== undefined && BigInt(Date.now()) * nanosPerMilli > timeNs;

/** The files of a log, one after the other. conmon writes nothing to one once there is a newer one. */
class LogSource {
  readonly #path: string;
  /** The one that is read is the first; all are open, so that no rotation takes them away. */
  readonly #files: FileHandle[];
  #lines: LogLines;

  private constructor(path: string, files: FileHandle[]) {
    this.#path = path;
    this.#files = files;
    this.#lines = new LogLines(files[0]!, 0);
  }

  /** Undefined when nothing was ever logged. */
  static async open(path: string): Promise<LogSource | undefined> {
    const files = await openLogFiles(path);
    return files.length === 0 ? undefined : new LogSource(path, files);
  }

  /** Goes to where the last `count` messages are the next, but for as many as it returns. */
  async seekToTail(count: number, unfinished: boolean): Promise<number> {
    const { file, offset, skip } = await findTail(this.#files, count, unfinished);
    for (const older of this.#files.splice(0, file)) await older.close();
    this.#lines = new LogLines(this.#files[0]!, offset);
    return skip;
  }

  /** Whole lines that are there now, block by block; each to be used before the next is asked for. */
  async *rest(): AsyncGenerator<Buffer> {
    while (true) {
      const lines = await this.#lines.next();
      if (lines.length > 0) yield lines;
      else if (await this.#lines.atEnd()) {
        if (this.#files.length === 1) return;
        await this.#nextFile();
      }
    }
  }

  async #nextFile(): Promise<void> {
    await this.#files.shift()!.close();
    this.#lines = new LogLines(this.#files[0]!, 0);
  }

  /** To be asked at the end of what there was: whether the log goes on in newer files. What came to the old one before them is read first. */
  async findNewer(): Promise<boolean> {
    const newer = await openLogFiles(this.#path, this.#files.at(-1)!);
    this.#files.push(...newer);
    return newer.length > 0;
  }

  async close(): Promise<void> {
    for (const file of this.#files) await file.close();
  }
}
