import { delay } from '#concurrency';
import { RegistryError } from './errors.ts';
import type { CallOptions, RetryOptions } from './types.ts';

const defaults = { attempts: 5, firstDelayMs: 200, maxDelayMs: 10_000 } as const;
/** A registry that asks for more patience than this gets its error shown instead. */
const maxRetryAfterMs = 30_000;
/** The same where a user sees what is waited for. */
const maxShownRetryAfterMs = 10 * 60_000;

/** Tries again after failures that may pass: exponential back-off with jitter, or what the registry asked for. */
export async function withRetries<T>(
  work: (attempt: number) => Promise<T>,
  options: Pick<CallOptions, 'onRetry' | 'signal'> & { retry?: RetryOptions | undefined },
): Promise<T> {
  const { attempts, firstDelayMs, maxDelayMs } = { ...defaults, ...options.retry };
  for (let attempt = 1; ; attempt++) {
    try {
      return await work(attempt);
    } catch (error) {
      options.signal?.throwIfAborted();
      if (!(error instanceof RegistryError) || !error.retryable || attempt >= attempts) throw error;
      const patienceMs = options.onRetry ? maxShownRetryAfterMs : maxRetryAfterMs;
      if ((error.retryAfterMs ?? 0) > patienceMs) throw error;
      const backoffMs = Math.min(firstDelayMs * 2 ** (attempt - 1), maxDelayMs) * (0.5 + Math.random());
      const delayMs = Math.max(error.retryAfterMs ?? 0, backoffMs);
      options.onRetry?.(delayMs, error);
      await delay(delayMs, { signal: options.signal });
    }
  }
}

/** RFC 9110 §10.2.3: seconds or a date. */
export function parseRetryAfter(value: string | undefined, nowMs = Date.now()): number | undefined {
  if (!value) return undefined;
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1000;
  const atMs = Date.parse(value);
  return Number.isNaN(atMs) ? undefined : Math.max(0, atMs - nowMs);
}
