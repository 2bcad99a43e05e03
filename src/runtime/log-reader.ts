import { LogChanges } from './log-changes.ts';
import { LogFramer } from './log-framer.ts';
import { LogSource } from './log-source.ts';
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
