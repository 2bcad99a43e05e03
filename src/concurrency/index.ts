/** Tasks that live and fail together, keyed locks, limits, long walks in slices, bytes between threads, and timed clean-up. Imports errdefs. */
export { RingReader, RingWriter } from './byte-ring.ts';
export { KeyedLock } from './keyed-lock.ts';
export { Bell, Progress, stages } from './progress.ts';
export { Semaphore } from './semaphore.ts';
export { inSlices } from './slices.ts';
export { type TaskGroup, withTaskGroup } from './task-group.ts';
export { cleanup, delay } from './timing.ts';
export { workerEntry } from './worker-entry.ts';
