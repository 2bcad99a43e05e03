import { createHash, type Hash } from 'node:crypto';
import { parentPort } from 'node:worker_threads';
import type { HashAnswer, HashOrder } from './hash-threads.ts';

/** One blob at a time. */
let hash: Hash | undefined;

parentPort!.on('message', (order: HashOrder) => {
  if ('begin' in order) hash = createHash(order.begin);
  else if ('bytes' in order) hash!.update(order.bytes);
  const hex = 'tell' in order ? hash!.copy().digest('hex') : '';
  parentPort!.postMessage(hex satisfies HashAnswer);
});
