import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { workerEntry } from '#concurrency';
import { type Digest, digestAlgorithm } from '#oci';

export interface RehashRequest {
  readonly path: string;
  readonly algorithm: 'sha256' | 'sha512';
}

export type RehashAnswer = { readonly sizeBytes: number; readonly digest: string } | { readonly fault: string };

/** A thread that hashes blobs, one after the other; the loop of the caller stays free. */
export class Rehasher implements AsyncDisposable {
  readonly #worker = new Worker(workerEntry(import.meta.url, './rehash.worker.ts'), {
    resourceLimits: { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 2 },
  });

  /** What is wrong with the blob's file, if anything. */
  async faultOf(
    path: string,
    blob: { digest: Digest; sizeBytes: number },
    options: { signal?: AbortSignal | undefined } = {},
  ): Promise<string | undefined> {
    const request: RehashRequest = { path, algorithm: digestAlgorithm(blob.digest) };
    const answered = once(this.#worker, 'message', options.signal ? { signal: options.signal } : {});
    this.#worker.postMessage(request);
    const [answer] = (await answered) as [RehashAnswer];
    if ('fault' in answer) return answer.fault;
    if (answer.sizeBytes !== blob.sizeBytes) return `size ${answer.sizeBytes}, want ${blob.sizeBytes}`;
    return answer.digest === blob.digest ? undefined : `its bytes have digest ${answer.digest}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker.terminate();
  }
}
