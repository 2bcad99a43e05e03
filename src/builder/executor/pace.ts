import { setImmediate as turn } from 'node:timers/promises';

const sliceMs = 5;

/**
 * Long walks that never wait for I/O would keep the event loop from everything else: call the answer once per item, and it lets others run after each
 * few milliseconds of work.
 */
export function pace(): () => Promise<void> | undefined {
  let since = performance.now();
  return () => {
    if (performance.now() - since < sliceMs) return undefined;
    return turn().then(() => {
      since = performance.now();
    });
  };
}
