import { type FileHandle, open, stat } from 'node:fs/promises';
import { isErrno } from '#errdefs';
import { LogChanges } from './log-changes.ts';
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
  const file = await openLog(path);
  if (file === undefined) return;
  const source = new LogSource(path, file);
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
      if (await source.reopenIfReplaced()) {
        changes.rewatch();
        continue;
      }
      if (wasEnded) return;
      await changes.wait();
      query.signal?.throwIfAborted();
    }
  } finally {
    query.signal?.removeEventListener('abort', stop);
  }
}

const isPast = (timeNs: bigint | undefined) => timeNs !== undefined && BigInt(Date.now()) * nanosPerMilli > timeNs;

/** The file now at the path; conmon puts a new one there when a log has reached its size. */
class LogSource {
  readonly #path: string;
  #file: FileHandle;
  #lines: LogLines;

  constructor(path: string, file: FileHandle) {
    this.#path = path;
    this.#file = file;
    this.#lines = new LogLines(file, 0);
  }

  async seekToTail(count: number | undefined): Promise<void> {
    if (count !== undefined) this.#lines = new LogLines(this.#file, await tailOffset(this.#file, count));
  }

  /** What is there now. */
  async *rest(): AsyncGenerator<LogRecord> {
    while (true) {
      const lines = await this.#lines.next();
      for (const line of lines) {
        const record = parseLogLine(line);
        if (record) yield record;
      }
      if (lines.length === 0 && (await this.#lines.atEnd())) return;
    }
  }

  /** To be asked at the end of the file: conmon writes nothing to the old one after the new one is there. */
  async reopenIfReplaced(): Promise<boolean> {
    const [ours, now] = await Promise.all([this.#file.stat(), stat(this.#path).catch(() => undefined)]);
    if (now === undefined || (now.ino === ours.ino && now.dev === ours.dev)) return false;
    if (!(await this.#lines.atEnd())) return false;
    const next = await openLog(this.#path);
    if (next === undefined) return false;
    await this.#file.close();
    this.#file = next;
    this.#lines = new LogLines(next, 0);
    return true;
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}

async function openLog(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r');
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}
