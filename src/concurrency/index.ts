/** Tasks that live and fail together, keyed locks, limits, and timed clean-up. Imports errdefs. */
export { KeyedLock } from './keyed-lock.ts';
export { Semaphore } from './semaphore.ts';
export { type TaskGroup, withTaskGroup } from './task-group.ts';
export { cleanup, delay } from './timing.ts';
export { workerEntry } from './worker-entry.ts';
