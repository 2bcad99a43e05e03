/** A thread that hashes files behind who writes them, a piece of each in turn. The bytes come from the page cache. */
import { closeSync, openSync, readSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';
import { messageOf } from '#errdefs';
import { createDigester, type Digester } from '#oci';
import type { HashAnswer, HashOrder } from './hash-threads.ts';

const pieceBytes = 256 << 10;
/** Of one file before the others get their turn. */
const turnBytes = 4 << 20;

interface Job {
  readonly fd: number;
  readonly digester: Digester;
  hashedBytes: number;
  /** How far the file has been written. */
  writtenBytes: number;
  isAsked: boolean;
}

const piece = Buffer.allocUnsafeSlow(pieceBytes);
const jobs = new Map<number, Job>();
let isRunning = false;

parentPort!.on('message', (order: HashOrder) => {
  try {
    obey(order);
  } catch (error) {
    fail(order.id, error);
  }
  if (!isRunning) run();
});

function obey(order: HashOrder): void {
  if ('begin' in order) {
    const job = { fd: openSync(order.path, 'r'), digester: createDigester(order.begin) };
    jobs.set(order.id, { ...job, hashedBytes: 0, writtenBytes: 0, isAsked: false });
    return;
  }
  const job = jobs.get(order.id);
  if (!job) return;
  if ('end' in order) {
    forget(order.id, job);
    return;
  }
  job.writtenBytes = order.writtenBytes;
  job.isAsked ||= order.isAsked;
}

/** Until every file is hashed as far as it is written; orders are taken between the turns. */
function run(): void {
  isRunning = false;
  for (const [id, job] of jobs) {
    try {
      if (hashTurn(job)) isRunning = true;
      else if (job.isAsked) tell(id, job);
    } catch (error) {
      fail(id, error);
      forget(id, job);
    }
  }
  if (isRunning) setImmediate(run);
}

/** Answers whether there is more to hash. */
function hashTurn(job: Job): boolean {
  const end = Math.min(job.writtenBytes, job.hashedBytes + turnBytes);
  while (job.hashedBytes < end) {
    const readBytes = readSync(job.fd, piece, 0, Math.min(pieceBytes, end - job.hashedBytes), job.hashedBytes);
    if (readBytes === 0) throw new Error(`the file ends at byte ${job.hashedBytes} of ${job.writtenBytes}`);
    job.digester.update(piece.subarray(0, readBytes));
    job.hashedBytes += readBytes;
  }
  return job.hashedBytes < job.writtenBytes;
}

function tell(id: number, job: Job): void {
  job.isAsked = false;
  parentPort!.postMessage({ id, digest: job.digester.copy().digest() } satisfies HashAnswer);
}

function fail(id: number, error: unknown): void {
  parentPort!.postMessage({ id, failure: messageOf(error) } satisfies HashAnswer);
}

function forget(id: number, job: Job): void {
  jobs.delete(id);
  closeSync(job.fd);
}
