import { setImmediate } from 'node:timers/promises';

const sliceMs = 4;

/** Drives a walk of many small system calls so that the event loop gets its turn every few milliseconds. */
export async function* inSlices<T>(
  steps: Iterable<T>,
  options: { signal?: AbortSignal | undefined } = {},
): AsyncGenerator<T> {
  let since = performance.now();
  for (const step of steps) {
    options.signal?.throwIfAborted();
    yield step;
    if (performance.now() - since < sliceMs) continue;
    await setImmediate();
    since = performance.now();
  }
}
