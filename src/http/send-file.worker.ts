/** The thread that hands files to connections. The descriptors are the other thread's, which closes them once it has been answered. */
import { parentPort } from 'node:worker_threads';
import { messageOf } from '#errdefs';
import { sys } from '#sys';
import type { SendAnswer, SendOrder } from './file-sender.ts';

/** In one call, and in a row before others get their turn. */
const callBytes = 1 << 20;
const turnBytes = 4 << 20;

interface Sending {
  isStopped: boolean;
  /** While the connection is full. */
  stopWaiting: (() => void) | undefined;
}

const sendings = new Map<number, Sending>();

parentPort!.on('message', (order: SendOrder) => {
  if ('stop' in order) {
    const sending = sendings.get(order.stop);
    if (!sending) return;
    sending.isStopped = true;
    sending.stopWaiting?.();
    return;
  }
  const sending: Sending = { isStopped: false, stopWaiting: undefined };
  sendings.set(order.id, sending);
  send(order, sending).then(
    () => answer({ id: order.id }),
    (error) => answer({ id: order.id, failure: messageOf(error) }),
  );
});

function answer(message: SendAnswer): void {
  sendings.delete(message.id);
  parentPort!.postMessage(message);
}

async function send(order: Extract<SendOrder, { id: number }>, sending: Sending): Promise<void> {
  const { socketFd, fileFd, offset, length } = order;
  let turn = 0;
  for (let sent = 0; sent < length; ) {
    if (sending.isStopped) throw new Error('the connection was closed');
    const taken = sys.sendFile(socketFd, fileFd, offset + sent, Math.min(callBytes, length - sent));
    if (taken === 0) throw new Error(`the file ends after ${offset + sent} bytes`);
    if (taken < 0) {
      await writable(socketFd, sending);
      continue;
    }
    sent += taken;
    turn += taken;
    if (turn < turnBytes) continue;
    turn = 0;
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
}

async function writable(fd: number, sending: Sending): Promise<void> {
  await new Promise<void>((resolve) => {
    const watch = sys.whenWritable(fd, resolve);
    sending.stopWaiting = () => {
      watch.stop();
      resolve();
    };
  });
  sending.stopWaiting = undefined;
}
