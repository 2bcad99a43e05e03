import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { workerEntry } from '#concurrency';
import { EngineError } from '#errdefs';
import type { LayerFile } from './layer-reader.ts';
import type { BaseFile, DeltaJob, DeltaReply, DeltaRequest } from './protocol.ts';

export type { LayerFile } from './layer-reader.ts';

interface Waiting {
  readonly signal?: AbortSignal | undefined;
}

export interface LayerPiece {
  /** Position of its layer. */
  readonly layer: number;
  readonly bytes: Uint8Array;
}

/** The pieces that make `layers` out of `bases`, layer by layer, made in a thread one ahead of the consumer. */
export async function* layerPieces(
  bases: readonly LayerFile[],
  layers: readonly LayerFile[],
  options: Waiting = {},
): AsyncGenerator<LayerPiece> {
  await using thread = new DeltaThread({ kind: 'diff', bases, layers });
  const ask = async () => {
    const reply = await thread.ask('next', options);
    return 'piece' in reply ? reply.piece : undefined;
  };
  for (let next = ask(); ; ) {
    const piece = await next;
    if (!piece) return;
    next = ask();
    // The consumer may leave before it is awaited.
    next.catch(() => {});
    yield piece;
  }
}

/** Applies pieces in a thread. */
export class Patcher implements AsyncDisposable {
  readonly #thread: DeltaThread;

  constructor(bases: readonly BaseFile[]) {
    this.#thread = new DeltaThread({ kind: 'patch', bases });
  }

  /**
   * What a piece makes, and where in the layer that is.
   * @throws `invalid-argument` for what is no piece, `not-found` for a base that is not here, `data-loss` when what comes out is wrong.
   */
  async apply(bytes: Uint8Array, options: Waiting = {}): Promise<{ offset: number; parts: readonly Uint8Array[] }> {
    const reply = await this.#thread.ask(bytes, options);
    if (!('run' in reply)) throw new Error('a thread answered what it was not asked');
    return reply.run;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#thread[Symbol.asyncDispose]();
  }
}

/** One request at a time. */
class DeltaThread implements AsyncDisposable {
  readonly #worker: Worker;
  readonly #ended: Promise<never>;

  constructor(job: DeltaJob) {
    this.#worker = new Worker(workerEntry(import.meta.url, './delta.worker.ts'), { workerData: job });
    this.#ended = once(this.#worker, 'exit').then(() => {
      throw new EngineError('internal', 'the thread of a delta ended');
    });
    this.#ended.catch(() => {});
  }

  async ask(request: DeltaRequest, { signal }: Waiting): Promise<Exclude<DeltaReply, { failed: unknown }>> {
    signal?.throwIfAborted();
    const answered = once(this.#worker, 'message', { ...(signal ? { signal } : {}) });
    this.#worker.postMessage(request);
    try {
      const [reply] = (await Promise.race([answered, this.#ended])) as [DeltaReply];
      if ('failed' in reply) throw new EngineError(reply.failed, reply.message);
      return reply;
    } catch (error) {
      signal?.throwIfAborted();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker.terminate();
  }
}
