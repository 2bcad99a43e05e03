import { Worker } from 'node:worker_threads';
import { Progress, stages, workerEntry } from '#concurrency';
import { EngineError } from '#errdefs';
import { log } from '#log';
import { hashFiles } from './hash-files.ts';
import type { FileToHash, HashFinding, HashRequest } from './hash-protocol.ts';

/** Less is hashed before a thread has started. */
const threadFromBytes = 1 << 20;
const threadFromFiles = 200;

export interface ArrivingFiles {
  /** Where they are written, and by whom it is also open. */
  readonly path: string;
  readonly fd: number;
  readonly files: readonly FileToHash[];
  /** Called for one after the other. What it throws ends the telling, and is thrown by `end`. */
  readonly found: (at: number, digest: string) => void;
}

/** Hashes files while they are written, beside whoever writes them where that is worth a thread. `end` it always. */
export class FileHashes implements AsyncDisposable {
  #worker: Worker | undefined;

  begin(arriving: ArrivingFiles): Hashing {
    const { files } = arriving;
    const sizeBytes = files.reduce((sum, file) => sum + file.sizeBytes, 0);
    const isSmall = sizeBytes < threadFromBytes && files.length < threadFromFiles;
    return new Hashing(arriving, isSmall ? undefined : (this.#worker ??= startWorker()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker?.terminate();
  }
}

function startWorker(): Worker {
  const worker = new Worker(workerEntry(import.meta.url, './hash-files.worker.ts'));
  // Between two runs there is nobody to tell.
  worker.on('error', (error) => log.error('hash build context: the thread failed', { error }));
  return worker;
}

/** One run of files. */
export class Hashing {
  readonly #arriving: ArrivingFiles;
  readonly #progress = new Progress();
  readonly #beside: Promise<void> | undefined;
  #writtenBytes = 0;
  #told = 0;
  #failure: unknown;

  constructor(arriving: ArrivingFiles, worker: Worker | undefined) {
    this.#arriving = arriving;
    this.#beside = worker && this.#follow(worker);
    // Told by `end`.
    this.#beside?.catch(() => {});
  }

  /** @throws what the taker of digests threw */
  throwIfFailed(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** So many bytes are in the file now. */
  advance(writtenBytes: number): void {
    if (writtenBytes === this.#writtenBytes) return;
    this.#writtenBytes = writtenBytes;
    if (this.#beside) this.#progress.tell(writtenBytes, stages.growing);
  }

  /** All that will be written is; resolves when it is hashed and told. */
  async end(): Promise<void> {
    this.#progress.tell(this.#writtenBytes, stages.whole);
    if (this.#beside) return await this.#beside;
    const { fd, files } = this.#arriving;
    this.#tell(hashFiles(fd, { files, progress: this.#progress.memory }));
  }

  /** Nothing more will come. What was hashed by then has been told when it resolves. Never throws. */
  async abandon(): Promise<void> {
    this.#progress.tell(this.#writtenBytes, stages.abandoned);
    await this.#beside?.catch(() => {});
  }

  #tell(digests: Iterable<string>): void {
    for (const digest of digests) this.#arriving.found(this.#told++, digest);
  }

  /** Until the thread is done, so that the next run finds nothing of this one. */
  #follow(worker: Worker): Promise<void> {
    const { path, files } = this.#arriving;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const onMessage = (finding: HashFinding) => {
      if ('digests' in finding) this.#take(finding.digests);
      else if (finding.fault !== undefined) reject(new EngineError('internal', `hash build context: ${finding.fault}`));
      else if (this.#failure !== undefined) reject(this.#failure);
      else resolve();
    };
    const onEnd = (cause: unknown) => {
      reject(new EngineError('internal', 'hash build context: the thread ended', { cause }));
    };
    worker.on('message', onMessage).on('error', onEnd).on('exit', onEnd);
    worker.postMessage({ path, files, progress: this.#progress.memory } satisfies HashRequest);
    return promise.finally(() => worker.off('message', onMessage).off('error', onEnd).off('exit', onEnd));
  }

  #take(digests: readonly string[]): void {
    if (this.#failure !== undefined) return;
    try {
      this.#tell(digests);
    } catch (error) {
      this.#failure = error;
    }
  }
}
