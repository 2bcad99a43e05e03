import { KeyedLock, Semaphore } from '#concurrency';
import type { TransferStores } from './types.ts';

interface Limits {
  readonly downloads: Semaphore;
  readonly uploads: Semaphore;
  /** Held by whoever brings a layer in; whoever comes second finds it there. */
  readonly layers: KeyedLock;
}

const limits = new WeakMap<object, Limits>();

/** What all transfers of one engine share: `--max-concurrent-downloads` counts them together. */
export function sharedLimits(stores: TransferStores): Limits {
  let found = limits.get(stores.registry);
  if (!found) {
    found = {
      downloads: new Semaphore(stores.maxConcurrentDownloads),
      uploads: new Semaphore(stores.maxConcurrentUploads),
      layers: new KeyedLock(),
    };
    limits.set(stores.registry, found);
  }
  return found;
}
