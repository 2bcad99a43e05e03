import type { FileHandle } from 'node:fs/promises';
import { LogChanges } from './log-changes.ts';
import { openLogFiles } from './log-files.ts';
import { LogLines, tailOffset } from './log-lines.ts';
import { parseLogLine } from './log-record.ts';
import type { LogQuery, LogRecord } from './types.ts';

const nanosPerMilli = 1_000_000n;

/**
 * Records of a log conmon writes, oldest first. `tail` counts records of both streams, before the other filters, as Docker does.
 * A log that is not there has no records.
 */
export async function* readLog(path: string, query: LogQuery): AsyncGenerator<LogRecord> {
  query.signal?.throwIfAborted();
  const source = await LogSource.open(path);
  if (source === undefined) return;
  try {
    await source.seekToTail(query.tail);
    yield* query.follow ? follow(source, path, query) : selected(source.rest(), query);
  } finally {
    await source.close();
  }
}

async function* selected(
  records: AsyncIterable<LogRecord>,
  query: LogQuery,
): AsyncGenerator<LogRecord, 'past-until' | 'end'> {
  const { sinceNs, untilNs, stdout = true, stderr = true } = query;
  for await (const record of records) {
    query.signal?.throwIfAborted();
    if (untilNs !== undefined && record.timeNs > untilNs) return 'past-until';
    if (sinceNs !== undefined && record.timeNs < sinceNs) continue;
    if (record.stream === 'stdout' ? stdout : stderr) yield record;
  }
  return 'end';
}

/** Ends when the container's end has come and everything written by then is read. */
async function* follow(source: LogSource, path: string, query: LogQuery): AsyncGenerator<LogRecord> {
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
      const wasEnded = ended || isPast(query.untilNs);
      if ((yield* selected(source.rest(), query)) === 'past-until') return;
      if (await source.findNewer()) continue;
      if (wasEnded) return;
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

  async seekToTail(count: number | undefined): Promise<void> {
    if (count === undefined) return;
    let wanted = count;
    for (let at = this.#files.length - 1; at >= 0; at--) {
      const { offset, missing } = await tailOffset(this.#files[at]!, wanted);
      if (missing > 0 && at > 0) {
        wanted = missing;
        continue;
      }
      for (const file of this.#files.splice(0, at)) await file.close();
      this.#lines = new LogLines(this.#files[0]!, offset);
      return;
    }
  }

  /** What is there now. */
  async *rest(): AsyncGenerator<LogRecord> {
    while (true) {
      const lines = await this.#lines.next();
      for (const line of lines) {
        const record = parseLogLine(line);
        if (record) yield record;
      }
      if (lines.length > 0 || !(await this.#lines.atEnd())) continue;
      if (this.#files.length === 1) return;
      await this.#nextFile();
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
