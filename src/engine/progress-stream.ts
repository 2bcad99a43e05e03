import type { ProgressMessage } from '#api-types';

/**
 * Work that reports by callback, as a stream of its messages. Starts when iterated; leaving early or the caller's signal aborts the work, and
 * its failure is thrown after the last message. The stream ends only when the work has.
 */
export async function* progressStream(
  work: (report: (message: ProgressMessage) => void, signal: AbortSignal) => Promise<unknown>,
  outer?: AbortSignal,
): AsyncGenerator<ProgressMessage> {
  const left = new AbortController();
  const signal = outer ? AbortSignal.any([outer, left.signal]) : left.signal;
  const pending: ProgressMessage[] = [];
  let wake = () => {};
  let settled: { error?: unknown } | undefined;
  const report = (message: ProgressMessage) => {
    pending.push(message);
    wake();
  };
  const running = work(report, signal).then(
    () => {
      settled = {};
      wake();
    },
    (error: unknown) => {
      settled = { error };
      wake();
    },
  );
  try {
    while (true) {
      const message = pending.shift();
      if (message) yield message;
      else if (settled) break;
      else
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
    }
  } finally {
    if (!settled) left.abort(new DOMException('the consumer left', 'AbortError'));
    await running;
  }
  if (settled && 'error' in settled) throw settled.error;
}
