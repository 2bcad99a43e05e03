import { delay } from '#concurrency';
import { EngineError, isKind } from '#errdefs';
import { RegistryError } from './errors.ts';
import type { BlobAnswer } from './types.ts';

export interface ResumeOptions {
  readonly what: string;
  readonly sizeBytes: number;
  readonly signal?: AbortSignal | undefined;
  /** Tries in a row that bring nothing new. */
  readonly attempts?: number;
  readonly firstDelayMs?: number;
  /** Where the first connection begins: what comes before it is known. */
  readonly offset?: number;
  readonly onRetry?: (delayMs: number, why: Error) => void;
}

const defaultAttempts = 5;
const defaultFirstDelayMs = 250;
const maxDelayMs = 10_000;

/** One unbroken stream over connections that break: each next one goes on where the last stopped. */
export async function* resumable(
  open: (offset: number) => Promise<BlobAnswer>,
  options: ResumeOptions,
): AsyncGenerator<Uint8Array> {
  const { sizeBytes, signal, attempts = defaultAttempts, firstDelayMs = defaultFirstDelayMs } = options;
  let { offset = 0 } = options;
  if (offset > 0 && offset >= sizeBytes) return;
  for (let failures = 0; ; ) {
    const before = offset;
    let why: Error;
    try {
      for await (const chunk of from(await open(offset), offset)) {
        offset += chunk.byteLength;
        yield chunk;
      }
      if (offset >= sizeBytes) return;
      throw new RegistryError('unavailable', `${options.what}: it ended after ${offset} of ${sizeBytes} bytes`, {
        retryable: true,
      });
    } catch (error) {
      signal?.throwIfAborted();
      failures = offset > before ? 1 : failures + 1;
      if (!(error instanceof Error) || !mayPass(error) || failures >= attempts) throw error;
      why = error;
    }
    const delayMs = Math.min(maxDelayMs, firstDelayMs * 2 ** (failures - 1)) * (0.5 + Math.random());
    options.onRetry?.(delayMs, why);
    await delay(delayMs, { signal });
  }
}

/** What the server sent again is dropped. */
async function* from(answer: BlobAnswer, offset: number): AsyncGenerator<Uint8Array> {
  if (answer.offset > offset) throw new EngineError('internal', 'resume blob: the answer begins too late');
  let skipBytes = offset - answer.offset;
  for await (const chunk of answer.source) {
    const rest = chunk.subarray(Math.min(skipBytes, chunk.byteLength));
    skipBytes -= chunk.byteLength - rest.byteLength;
    if (rest.byteLength > 0) yield rest;
  }
}

/** A refusal that has a status was tried often enough below. */
function mayPass(error: unknown): boolean {
  if (error instanceof RegistryError) return error.retryable && error.status === undefined;
  return isKind(error, 'unavailable');
}
