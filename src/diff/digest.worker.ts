/**
 * The thread behind `DigestThread`: reads what other threads write, from the page cache, and hashes it. Blocks while it waits. Two files at once where
 * that is quicker than one after the other.
 */
import { setPriority } from 'node:os';
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { Bell } from '#concurrency';
import { messageOf } from '#errdefs';
import { updateBoth } from '#oci';
import { type Answer, bulkNice, type Finding, type Order } from './digest-protocol.ts';
import { FollowedFile } from './followed-file.ts';

const port = parentPort;
if (!port) throw new Error('digest.worker.ts is a worker thread');
setPriority(0, bulkNice);

const bell = new Bell(workerData as SharedArrayBuffer);
/** In the order in which they came: the oldest are hashed first. */
const files = new Map<number, FollowedFile>();

port.on('message', (order: Order) => {
  take(order);
  while (files.size > 0) {
    const turn = bell.turn;
    for (let next = receiveMessageOnPort(port); next; next = receiveMessageOnPort(port)) take(next.message as Order);
    if (!hashSome()) bell.wait(turn);
  }
});

/** A file that fails is answered for, and no more work. */
function guarded<T>(id: number, work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    settle(id, { digest: undefined, fault: messageOf(error) });
    return undefined;
  }
}

function settle(id: number, finding: Finding): void {
  files.get(id)?.[Symbol.dispose]();
  files.delete(id);
  port!.postMessage({ id, finding } satisfies Answer);
}

function take({ id, following }: Order): void {
  guarded(id, () => files.set(id, new FollowedFile(following)));
}

/** False when there was nothing to do. */
function hashSome(): boolean {
  const settled = settleFinished();
  const ready = [...files].map(([id, file]) => ({ id, file, unreadBytes: file.look().unreadBytes }));
  const together = ready.filter(({ unreadBytes }) => unreadBytes > 0).slice(0, 2);
  const lengthBytes = Math.min(...together.map(({ unreadBytes }) => unreadBytes));
  const [first, second] = together.flatMap(({ id, file }) => {
    const piece = guarded(id, () => file.read(lengthBytes));
    return piece ? { digester: file.digester, piece } : [];
  });
  if (first && second) updateBoth(first.digester, first.piece, second.digester, second.piece);
  else first?.digester.update(first.piece);
  return settled || together.length > 0;
}

function settleFinished(): boolean {
  let settled = false;
  for (const [id, file] of files) {
    const { over } = file.look();
    if (!over) continue;
    settled = true;
    guarded(id, () => settle(id, { digest: over === 'whole' ? file.digester.digest() : undefined, fault: undefined }));
  }
  return settled;
}
