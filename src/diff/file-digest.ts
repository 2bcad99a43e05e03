import { closeSync, openSync, readSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { Progress, stages, workerEntry } from '#concurrency';
import { EngineError, messageOf } from '#errdefs';
import { createDigester, type Digest, type DigestAlgorithm } from '#oci';
import { type Finding, type Following, pieceBytes } from './digest-protocol.ts';

/** A smaller file is read back and hashed by its writer's thread. */
const threadFromBytes = 4 << 20;

/** A thread that hashes files behind their writers, one at a time. Starts with its first file. */
export class DigestThread {
  #worker: Worker | undefined;
  /** One for each file that has no finding yet, in order: the thread may still have to see that the one before was abandoned. */
  readonly #waiting: ((finding: Finding) => void)[] = [];

  /** Resolves with the digest once `stages.whole` is set, with undefined after `stages.abandoned`. */
  async follow(following: Following): Promise<Digest | undefined> {
    const worker = (this.#worker ??= this.#start());
    const { promise, resolve } = Promise.withResolvers<Finding>();
    this.#waiting.push(resolve);
    worker.postMessage(following);
    const { digest, fault } = await promise;
    if (fault !== undefined) throw new EngineError('internal', `hash layer: ${fault}`);
    return digest;
  }

  async terminate(): Promise<void> {
    await this.#worker?.terminate();
  }

  #start(): Worker {
    const worker = new Worker(workerEntry(import.meta.url, './digest.worker.ts'), {
      resourceLimits: { maxYoungGenerationSizeMb: 2 },
    });
    worker.on('message', (finding: Finding) => this.#waiting.shift()?.(finding));
    worker.on('error', (error) => this.#end(messageOf(error)));
    worker.on('exit', () => this.#end('the thread ended'));
    return worker;
  }

  #end(fault: string): void {
    this.#worker = undefined;
    for (const tell of this.#waiting.splice(0)) tell({ digest: undefined, fault });
  }
}

/**
 * The digest of a file while it is written: what is there is read back from the page cache and hashed beside the writing, so that no writer waits for its
 * hash. The file has to grow at its end alone. Dispose it always.
 */
export class FileDigest implements Disposable {
  readonly #path: string;
  readonly #algorithm: DigestAlgorithm;
  readonly #thread: DigestThread;
  readonly #progress = new Progress();
  #found: Promise<Digest | undefined> | undefined;
  #writtenBytes = 0;
  #toldBytes = 0;

  constructor(path: string, algorithm: DigestAlgorithm, thread: DigestThread) {
    this.#path = path;
    this.#algorithm = algorithm;
    this.#thread = thread;
  }

  /** So many bytes are in the file now. */
  advance(writtenBytes: number): void {
    this.#writtenBytes = writtenBytes;
    if (writtenBytes < threadFromBytes || writtenBytes - this.#toldBytes < pieceBytes) return;
    this.#tell(stages.growing);
    this.#found ??= this.#thread.follow({
      path: this.#path,
      algorithm: this.#algorithm,
      progress: this.#progress.memory,
    });
    // Told by `finish`.
    this.#found.catch(() => {});
  }

  /** Of everything that is in the file. */
  async finish(): Promise<Digest> {
    if (!this.#found) return digestOfFile(this.#path, this.#algorithm);
    this.#tell(stages.whole);
    const digest = await this.#found;
    if (digest === undefined) throw new EngineError('canceled', 'hash layer: abandoned');
    return digest;
  }

  [Symbol.dispose](): void {
    this.#tell(stages.abandoned);
  }

  #tell(stage: number): void {
    this.#toldBytes = this.#writtenBytes;
    this.#progress.tell(this.#writtenBytes, stage);
  }
}

function digestOfFile(path: string, algorithm: DigestAlgorithm): Digest {
  const digester = createDigester(algorithm);
  const fd = openSync(path, 'r');
  try {
    const piece = Buffer.allocUnsafe(pieceBytes);
    for (let at = 0; ; ) {
      const readBytes = readSync(fd, piece, 0, pieceBytes, at);
      if (readBytes === 0) return digester.digest();
      digester.update(piece.subarray(0, readBytes));
      at += readBytes;
    }
  } finally {
    closeSync(fd);
  }
}
