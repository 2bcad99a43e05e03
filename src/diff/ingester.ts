import { randomBytes } from 'node:crypto';
import { mkdir, rename, stat } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { dirname } from 'node:path';
import { Semaphore } from '#concurrency';
import type { Ingester } from '#content';
import { EngineError, isErrno } from '#errdefs';
import { fsyncFolder, type MakeRoom, removeIfPresent } from '#files';
import { type DiffID, digestAlgorithm, parseDiffID, parseDigest } from '#oci';
import { type ByteSource, bytesOfPart, type Part, PartedSource } from '#streams';
import { DigestThreads } from './digest-threads.ts';
import { type IngestJob, IngestThread } from './ingest-thread.ts';
import type { Digested, IngestLimits } from './protocol.ts';
import type { IngestedLayer, IngestOptions, LayerIngester } from './types.ts';

export interface LayerIngesterOptions {
  readonly content: Pick<Ingester, 'stage'>;
  /** Where a layer's EROFS index goes, for the driver that mounts it. Left out: none is written. */
  readonly index?: { readonly path: (diffID: DiffID) => string };
  /** Layers in work at once; each has a thread. */
  readonly maxThreads?: number;
  readonly limits?: Partial<IngestLimits>;
  /** For a layer that finds no space. */
  readonly makeRoom?: MakeRoom;
}

/** Deflate and zstd reach about 1,000 on zeros, and layers of zeros exist: by default only the disk is a limit. */
const defaultLimits: IngestLimits = {
  maxLayerBytes: Number.MAX_SAFE_INTEGER,
  maxExpansion: Number.MAX_SAFE_INTEGER,
  reserveBytes: 64 << 20,
};

/** A thread waits for its source most of the time when that is a network: a few more threads than cores do no harm. */
const minThreads = 4;
const idleMs = 5000;

/** Makes the ingester; threads start with the first layer and end when idle. Dispose it before the content store. */
export function createLayerIngester(options: LayerIngesterOptions): LayerIngester {
  return new ThreadedIngester(options);
}

class ThreadedIngester implements LayerIngester {
  readonly #options: LayerIngesterOptions;
  readonly #limits: IngestLimits;
  readonly #places: Semaphore;
  readonly #idle: { thread: IngestThread; timer: NodeJS.Timeout }[] = [];
  readonly #threads = new Set<IngestThread>();
  readonly #digests = new DigestThreads();
  readonly #disposed = new AbortController();
  #running = 0;
  #whenIdle: (() => void) | undefined;

  constructor(options: LayerIngesterOptions) {
    this.#options = options;
    this.#limits = { ...defaultLimits, ...options.limits };
    this.#places = new Semaphore(options.maxThreads ?? Math.max(minThreads, availableParallelism()));
  }

  async ingest(source: ByteSource, options: IngestOptions = {}): Promise<IngestedLayer> {
    const signal = AbortSignal.any([this.#disposed.signal, ...(options.signal ? [options.signal] : [])]);
    this.#running++;
    try {
      using _ = await this.#places.acquire({ signal });
      return await this.#inThread(source, { ...options, signal });
    } finally {
      if (--this.#running === 0) this.#whenIdle?.();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed.abort(new EngineError('canceled', 'ingest layer: shutting down'));
    if (this.#running > 0)
      await new Promise<void>((resolve) => {
        this.#whenIdle = resolve;
      });
    for (const { timer } of this.#idle.splice(0)) clearTimeout(timer);
    await Promise.all([...this.#threads].map((thread) => thread.terminate()));
    await this.#digests[Symbol.asyncDispose]();
  }

  async #inThread(source: ByteSource, options: IngestOptions): Promise<IngestedLayer> {
    await using staged = await this.#options.content.stage();
    const thread = this.#take();
    const job = thread.begin(
      {
        tarPath: staged.path,
        algorithm: algorithmOf(options.expected?.digest),
        tarAlgorithm: algorithmOf(options.expected?.diffID),
        limits: this.#limits,
      },
      { makeRoom: this.#options.makeRoom ?? (async () => false), digests: this.#digests },
    );
    let indexPath: string | undefined;
    try {
      await feed(job, source, options);
      const layer = describe(await unlessAborted(job.end(), options.signal), options);
      indexPath = await this.#temporaryIndex(layer);
      await job.index(indexPath);
      await options.onNamed?.(layer.diffID);
      options.signal?.throwIfAborted();
      await staged.adopt({ digest: layer.diffID, sizeBytes: layer.sizeBytes });
      if (indexPath !== undefined) await this.#placeIndex(indexPath, layer.diffID);
      return layer;
    } catch (error) {
      await job.abort();
      if (indexPath !== undefined) await removeIfPresent(indexPath);
      throw error;
    } finally {
      this.#giveBack(thread);
    }
  }

  /** Undefined when the layer gets no index of its own, or has one already. */
  async #temporaryIndex(layer: IngestedLayer): Promise<string | undefined> {
    if (!this.#options.index || !layer.standsAlone) return undefined;
    const path = this.#options.index.path(layer.diffID);
    if (await exists(path)) return undefined;
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    return `${path}.${randomBytes(6).toString('hex')}.tmp`;
  }

  async #placeIndex(temporary: string, diffID: DiffID): Promise<void> {
    const path = this.#options.index!.path(diffID);
    await rename(temporary, path);
    await fsyncFolder(dirname(path));
  }

  #take(): IngestThread {
    const idle = this.#idle.pop();
    if (idle) {
      clearTimeout(idle.timer);
      return idle.thread;
    }
    const thread = new IngestThread();
    this.#threads.add(thread);
    return thread;
  }

  #giveBack(thread: IngestThread): void {
    thread.release();
    if (thread.isDead) {
      this.#threads.delete(thread);
      return;
    }
    const timer = setTimeout(() => this.#end(thread), idleMs);
    timer.unref();
    this.#idle.push({ thread, timer });
  }

  #end(thread: IngestThread): void {
    const at = this.#idle.findIndex((idle) => idle.thread === thread);
    if (at >= 0) this.#idle.splice(at, 1);
    this.#threads.delete(thread);
    void thread.terminate();
  }
}

function algorithmOf(digest: IngestedLayer['digest'] | undefined): ReturnType<typeof digestAlgorithm> {
  return digest === undefined ? 'sha256' : digestAlgorithm(digest);
}

/** Everything the source gives, into the job; the source is released whatever happens. */
async function feed(job: IngestJob, source: ByteSource, options: IngestOptions): Promise<void> {
  const limit = options.expected?.compressedBytes ?? Number.POSITIVE_INFINITY;
  using interruption = new Interruption(options.signal);
  let readBytes = 0;
  const take = async (part: Part) => {
    readBytes += part instanceof Uint8Array ? part.byteLength : part.lengthBytes;
    if (readBytes > limit) throw new EngineError('data-loss', `ingest layer: more than the ${limit} bytes expected`);
    const taken = part instanceof Uint8Array ? job.write(part) : job.writeFrom(part);
    if (taken) await interruption.of(taken);
    options.onProgress?.(readBytes, job.writtenBytes);
  };
  const parts = (source instanceof PartedSource ? source.parts : source)[Symbol.asyncIterator]();
  let finished = false;
  try {
    while (true) {
      const { value: part, done } = await interruption.of<IteratorResult<Part>>(parts.next());
      if (done) break;
      if (part instanceof Uint8Array || part.staysOpen) await take(part);
      // The thread would read a file that is closed by then.
      else for await (const chunk of bytesOfPart(part)) await take(chunk);
    }
    finished = true;
  } finally {
    // A source that hangs in `next` would hang in `return` too: it is told, not waited for.
    if (!finished) void Promise.resolve(parts.return?.()).catch(() => {});
  }
  if (readBytes < limit && limit !== Number.POSITIVE_INFINITY)
    throw new EngineError('data-loss', `ingest layer: ${readBytes} bytes, want ${limit}`);
}

/**
 * Ends one wait after another when a signal says so: a listener for all of them, because a layer has a wait per chunk and listeners on a signal that is made
 * of others are dear.
 */
class Interruption implements Disposable {
  readonly #signal: AbortSignal | undefined;
  #reject: ((reason: unknown) => void) | undefined;
  readonly #onAbort = () => this.#reject?.(this.#signal?.reason);

  constructor(signal: AbortSignal | undefined) {
    this.#signal = signal;
    signal?.addEventListener('abort', this.#onAbort, { once: true });
  }

  /** The promise, or the signal's reason if that comes first. One at a time. */
  of<T>(promise: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#reject = reject;
      promise.then(resolve, reject);
      if (this.#signal?.aborted) reject(this.#signal.reason);
    });
  }

  [Symbol.dispose](): void {
    this.#signal?.removeEventListener('abort', this.#onAbort);
  }
}

async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  using interruption = new Interruption(signal);
  return await interruption.of(promise);
}

/** The worker's findings as the door's type. @throws `data-loss` when they are not what was expected. */
function describe(digested: Digested, { expected }: IngestOptions): IngestedLayer {
  const layer: IngestedLayer = {
    diffID: parseDiffID(`${algorithmOf(expected?.diffID)}:${digested.tarHex}`),
    sizeBytes: digested.sizeBytes,
    digest: parseDigest(`${algorithmOf(expected?.digest)}:${digested.digestHex}`),
    compressedBytes: digested.compressedBytes,
    compression: digested.compression,
    standsAlone: digested.standsAlone,
  };
  if (expected?.digest !== undefined && expected.digest !== layer.digest)
    throw new EngineError('data-loss', `ingest layer: digest ${layer.digest}, want ${expected.digest}`);
  if (expected?.diffID !== undefined && expected.diffID !== layer.diffID)
    throw new EngineError('data-loss', `ingest layer: diff ID ${layer.diffID}, want ${expected.diffID}`);
  return layer;
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return false;
    throw error;
  }
}
