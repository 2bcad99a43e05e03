import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { Semaphore, workerEntry } from '#concurrency';
import { EngineError } from '#errdefs';
import { log } from '#log';
import { AbortFlag } from './abort-flag.ts';
import type { Job, JobReply, JobResult } from './protocol.ts';

const maxBulkJobs = 2;
/** Unmounting does not wait behind layers that are unpacked. */
const maxUnmounts = 2;
/** Each waits for whoever takes its tar: never for a place that he may be waiting for himself. */
const maxPacks = 4;
/** Nobody waits for files that are already out of sight: one thread at a time leaves the disk to others. */
const maxRemovals = 1;
const idleMs = 10_000;
/** Entries of a layer live as long as the layer's work, or not at all: more room for the young would only be memory. */
const maxYoungGenerationSizeMb = 12;

/** Threads for work that would hold the event loop: started on demand, ended when idle for a while. */
export class SnapshotWorkers implements AsyncDisposable {
  readonly #bulk = new Semaphore(maxBulkJobs);
  readonly #unmounts = new Semaphore(maxUnmounts);
  readonly #packs = new Semaphore(maxPacks);
  readonly #removals = new Semaphore(maxRemovals);
  readonly #idle: { worker: Worker; timer: NodeJS.Timeout }[] = [];
  readonly #all = new Set<Worker>();

  /** Runs one job. An abort takes effect between two files; what the job had made by then is the caller's to remove. */
  async run(job: Job, options: { signal?: AbortSignal | undefined } = {}): Promise<JobResult> {
    using _ = await this.#placesOf(job).acquire(options);
    const worker = this.#take();
    const flag = new AbortFlag();
    const abort = () => flag.abort();
    options.signal?.addEventListener('abort', abort, { once: true });
    try {
      options.signal?.throwIfAborted();
      const reply = await this.#ask(worker, job, flag);
      if (reply.ok) return reply.result;
      options.signal?.throwIfAborted();
      throw new EngineError(reply.kind, reply.message);
    } finally {
      options.signal?.removeEventListener('abort', abort);
      this.#giveBack(worker);
    }
  }

  #placesOf(job: Job): Semaphore {
    if (job.kind === 'unmount') return this.#unmounts;
    if (job.kind === 'pack-upper') return this.#packs;
    return job.kind === 'remove-tree' ? this.#removals : this.#bulk;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { timer } of this.#idle.splice(0)) clearTimeout(timer);
    await Promise.all([...this.#all].map((worker) => worker.terminate()));
  }

  /** A thread that dies (out of memory) rejects its job; the next job gets a new one. */
  async #ask(worker: Worker, job: Job, flag: AbortFlag): Promise<JobReply> {
    const settled = new AbortController();
    const options = { signal: settled.signal };
    worker.ref();
    worker.postMessage({ job, abort: flag.shared });
    try {
      const died = once(worker, 'exit', options).then(() => {
        throw new EngineError('internal', `snapshot worker ended during ${job.kind}`);
      });
      const [reply] = await Promise.race([once(worker, 'message', options), died]);
      return reply as JobReply;
    } finally {
      settled.abort();
      worker.unref();
    }
  }

  #take(): Worker {
    const idle = this.#idle.pop();
    if (idle) {
      clearTimeout(idle.timer);
      return idle.worker;
    }
    const worker = new Worker(workerEntry(import.meta.url, './snapshot.worker.ts'), {
      resourceLimits: { maxYoungGenerationSizeMb },
    });
    this.#all.add(worker);
    worker.once('exit', () => this.#forget(worker));
    // A failure between jobs has nobody to tell; during one it also rejects the job.
    worker.on('error', (error) => log.error('snapshot worker failed', { error }));
    return worker;
  }

  #giveBack(worker: Worker): void {
    if (!this.#all.has(worker)) return;
    const timer = setTimeout(() => {
      this.#forget(worker);
      void worker.terminate();
    }, idleMs);
    timer.unref();
    this.#idle.push({ worker, timer });
  }

  #forget(worker: Worker): void {
    this.#all.delete(worker);
    const index = this.#idle.findIndex((idle) => idle.worker === worker);
    if (index >= 0) this.#idle.splice(index, 1);
  }
}
