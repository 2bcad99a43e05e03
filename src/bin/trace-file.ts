/** `--trace FILE`: the steps of every container as a file that trace viewers draw (Trace Event Format; Perfetto, chrome://tracing). */
import { type ChannelListener, tracingChannel } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { createWriteStream, type WriteStream } from 'node:fs';
import { type TraceContext, type TraceStep, traceChannelName, traceSteps } from '#engine';
import { EngineError, messageOf } from '#errdefs';
import { log } from '#log';

/** One row per container. */
class Rows {
  readonly #numbers = new Map<string, number>();

  /** Its number, and whether it is new. */
  of(container: string): { number: number; isNew: boolean } {
    const known = this.#numbers.get(container);
    if (known !== undefined) return { number: known, isNew: false };
    const number = this.#numbers.size + 1;
    this.#numbers.set(container, number);
    return { number, isNew: true };
  }
}

/**
 * Writes every step as it ends, one event per line, until disposed. The list is closed then; viewers take one that is not, too.
 * @throws `invalid-argument` when the file cannot be written.
 */
export async function openTraceFile(path: string): Promise<AsyncDisposable> {
  const file = createWriteStream(path, { mode: 0o600 });
  try {
    await once(file, 'open');
  } catch (cause) {
    throw new EngineError('invalid-argument', `open trace file: ${messageOf(cause)}`, { cause });
  }
  file.on('error', (error) => log.error('writing the trace failed', { error }));
  file.write('[');
  const stop = listen(file);
  return {
    async [Symbol.asyncDispose]() {
      stop();
      file.end('\n]\n');
      await once(file, 'close');
    },
  };
}

function listen(file: WriteStream): () => void {
  const rows = new Rows();
  let isFirst = true;
  const write = (event: object) => {
    file.write(`${isFirst ? '' : ','}\n${JSON.stringify({ pid: process.pid, ...event })}`);
    isFirst = false;
  };
  const unsubscribers = traceSteps.map((step) => {
    const { start, end } = stepListeners(step, rows, write);
    const channel = tracingChannel<object, object>(traceChannelName(step));
    channel.start.subscribe(start);
    channel.asyncStart.subscribe(end);
    return () => {
      channel.start.unsubscribe(start);
      channel.asyncStart.unsubscribe(end);
    };
  });
  return () => {
    for (const unsubscribe of unsubscribers) unsubscribe();
  };
}

function stepListeners(
  step: TraceStep,
  rows: Rows,
  write: (event: object) => void,
): { start: ChannelListener; end: ChannelListener } {
  const startedMs = new WeakMap<object, number>();
  return {
    start: (context) => startedMs.set(context as object, performance.now()),
    end: (context) => {
      const { container } = context as TraceContext;
      const from = startedMs.get(context as object) ?? performance.now();
      const { number, isNew } = rows.of(container);
      if (isNew) write({ name: 'thread_name', ph: 'M', tid: number, args: { name: container.slice(0, 12) } });
      const error = (context as { error?: unknown }).error;
      write({
        name: step,
        cat: 'container',
        ph: 'X',
        tid: number,
        ts: Math.round((performance.timeOrigin + from) * 1000),
        dur: Math.round((performance.now() - from) * 1000),
        args: { container, ...(error === undefined ? {} : { error: messageOf(error) }) },
      });
    },
  };
}
