import { parentPort, workerData } from 'node:worker_threads';
import { kindOf, messageOf } from '#errdefs';
import { runFilesJob } from './jobs.ts';
import type { FilesJob, FilesReply } from './protocol.ts';

/** A piece of the result: so many items, or what was found in so long. */
const maxItems = 1000;
const sliceMs = 50;

/** One job; each message asks for the next piece of what it finds. */
const found = runFilesJob(workerData as FilesJob);
parentPort!.on('message', () => parentPort!.postMessage(nextPiece()));

function nextPiece(): FilesReply {
  const items: unknown[] = [];
  const since = performance.now();
  try {
    while (items.length < maxItems && performance.now() - since < sliceMs) {
      const { value, done } = found.next();
      if (done) return { items, done: true };
      items.push(value);
    }
    return { items, done: false };
  } catch (error) {
    return { failed: kindOf(error), message: messageOf(error) };
  }
}
