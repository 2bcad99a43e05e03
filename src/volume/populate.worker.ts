/** Copies one tree and says how it went; the thread ends with it. */
import { parentPort, workerData } from 'node:worker_threads';
import { messageOf } from '#errdefs';
import { copyTree } from './copy-tree.ts';

const { from, to } = workerData as { from: string; to: string };
try {
  copyTree(from, to);
  parentPort?.postMessage({ ok: true });
} catch (error) {
  parentPort?.postMessage({ ok: false, message: messageOf(error) });
}
