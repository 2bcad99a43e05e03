import { setTimeout as wait } from 'node:timers/promises';
import { log } from '#log';

/** Resolves after `ms`, or rejects with the signal's reason. */
export async function delay(ms: number, options: { signal?: AbortSignal | undefined } = {}): Promise<void> {
  try {
    await wait(ms, undefined, options.signal ? { signal: options.signal } : {});
  } catch (error) {
    options.signal?.throwIfAborted();
    throw error;
  }
}

/**
 * Clean-up that must run even after an abort: on a fresh signal with its own time limit. A failure is logged, not
 * thrown, so that it never hides the error that led here.
 */
export async function cleanup(
  what: string,
  work: (signal: AbortSignal) => Promise<unknown>,
  timeoutMs = 30_000,
): Promise<void> {
  try {
    await work(AbortSignal.timeout(timeoutMs));
  } catch (error) {
    log.warn(`clean up ${what} failed`, { error });
  }
}
