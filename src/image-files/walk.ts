import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { workerEntry } from '#concurrency';
import { EngineError } from '#errdefs';
import type { FilesJob, FilesReply } from './protocol.ts';

/** Runs a job in a thread of its own and yields what it finds; the thread ends with the iteration. */
export async function* walkInThread<T>(
  job: FilesJob,
  options: { readonly signal?: AbortSignal | undefined } = {},
): AsyncGenerator<T> {
  options.signal?.throwIfAborted();
  const worker = new Worker(workerEntry(import.meta.url, './image-files.worker.ts'), { workerData: job });
  const ended = once(worker, 'exit').then(() => {
    throw new EngineError('internal', `the thread of ${job.kind} ended`);
  });
  ended.catch(() => {});
  try {
    for (let isOver = false; !isOver; ) {
      const reply = await Promise.race([ask(worker, options.signal), ended]);
      if ('failed' in reply) throw new EngineError(reply.failed, reply.message);
      yield* reply.items as T[];
      isOver = reply.done;
    }
  } finally {
    await worker.terminate();
  }
}

async function ask(worker: Worker, signal: AbortSignal | undefined): Promise<FilesReply> {
  const answered = once(worker, 'message', { ...(signal ? { signal } : {}) });
  worker.postMessage('next');
  try {
    const [reply] = await answered;
    return reply as FilesReply;
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  }
}
