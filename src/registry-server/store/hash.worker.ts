/** A thread that hashes files behind who writes them, two at once, a piece of each in turn. The bytes come from the page cache. */
import { closeSync, openSync, readSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';
import { messageOf } from '#errdefs';
import { createDigester, type Digester, updateBoth } from '#oci';
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

const pieces = [Buffer.allocUnsafeSlow(pieceBytes), Buffer.allocUnsafeSlow(pieceBytes)] as const;
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
  for (const [id, job] of jobs) if (job.isAsked && leftBytes(job) === 0) tell(id, job);
  const behind = [...jobs].filter(([, job]) => leftBytes(job) > 0);
  isRunning = behind.length > 0;
  for (let at = 0; at < behind.length; at += 2) hashTurn(behind.slice(at, at + 2));
  if (isRunning) setImmediate(run);
}

const leftBytes = ({ writtenBytes, hashedBytes }: Job) => writtenBytes - hashedBytes;

/** One or two of them. */
function hashTurn(some: readonly (readonly [number, Job])[]): void {
  for (let turned = 0; turned < turnBytes; turned += pieceBytes) {
    const [first, second] = some.flatMap(([id, job], at) => nextPiece(id, job, pieces[at]!));
    if (first && second) updateBoth(first.job.digester, first.bytes, second.job.digester, second.bytes);
    else if (first) first.job.digester.update(first.bytes);
    else return;
  }
}

/** None of one that is hashed, or fails. */
function nextPiece(id: number, job: Job, piece: Buffer): { job: Job; bytes: Uint8Array }[] {
  const wanted = Math.min(pieceBytes, leftBytes(job));
  if (wanted === 0 || !jobs.has(id)) return [];
  try {
    const readBytes = readSync(job.fd, piece, 0, wanted, job.hashedBytes);
    if (readBytes === 0) throw new Error(`the file ends at byte ${job.hashedBytes} of ${job.writtenBytes}`);
    job.hashedBytes += readBytes;
    return [{ job, bytes: piece.subarray(0, readBytes) }];
  } catch (error) {
    fail(id, error);
    forget(id, job);
    return [];
  }
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
