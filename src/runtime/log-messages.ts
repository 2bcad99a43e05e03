import { LogChanges } from './log-changes.ts';
import { LogSource } from './log-source.ts';
import { LogSplitter } from './log-splitter.ts';
import type { LogFollow, LogMessage } from './types.ts';

/** A log's messages from a mark on, block by block across its files, until its process has ended and everything it wrote was given. */
export async function* followMessages(path: string, follow: LogFollow): AsyncGenerator<Iterable<LogMessage>> {
  const source = await LogSource.open(path);
  if (source === undefined) return;
  try {
    const { from } = follow;
    const isThere = from !== undefined && (await source.seekTo(from));
    const splitter = new LogSplitter({ ...(await source.place()), taken: isThere ? from.taken : 0 });
    using changes = new LogChanges(path);
    let ended = false;
    const wake = () => changes.notify();
    const onEnded = () => {
      ended = true;
      wake();
    };
    follow.ended.then(onEnded, onEnded);
    follow.signal?.addEventListener('abort', wake, { once: true });
    while (!follow.signal?.aborted) {
      const wasEnded = ended;
      yield* messagesThere(source, splitter);
      if (await source.findNewer()) continue;
      if (wasEnded) return yield splitter.rest(await source.place());
      await changes.wait();
    }
  } finally {
    await source.close();
  }
}

async function* messagesThere(source: LogSource, splitter: LogSplitter): AsyncGenerator<Iterable<LogMessage>> {
  for await (const lines of source.rest()) {
    const { file, offset } = await source.place();
    yield splitter.messages(lines, { file, offset: offset - lines.length });
  }
}
