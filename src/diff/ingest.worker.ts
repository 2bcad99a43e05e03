/** The thread behind `LayerIngester`: one job at a time, messages in order. */
import { setPriority } from 'node:os';
import { parentPort } from 'node:worker_threads';
import { EngineError, kindOf, messageOf } from '#errdefs';
import { bulkNice, type Finding, type Follower } from './digest-protocol.ts';
import { LayerPass } from './pass.ts';
import { type FromWorker, roomAnswers, type StartMessage, type ToWorker } from './protocol.ts';
import { slotBytesOf } from './slot-bytes.ts';

type InTurn = Exclude<ToWorker, { type: 'found' }>;

const port = parentPort;
if (!port) throw new Error('ingest.worker.ts is a worker thread');

setPriority(0, bulkNice);

interface Job {
  readonly start: StartMessage;
  readonly pass: LayerPass;
  readonly found: (finding: Finding) => void;
  failed: boolean;
}

let current: Job | undefined;
let turn: Promise<void> = Promise.resolve();

port.on('message', (message: ToWorker) => {
  // What waits for it holds the turn.
  if (message.type === 'found') found(message);
  else turn = turn.then(() => handle(message));
});

function send(message: FromWorker): void {
  port!.postMessage(message);
}

/** Blocks until the other thread has made room, or has none; answers which. */
function askForRoom({ job, room }: StartMessage): boolean {
  const answer = new Int32Array(room);
  send({ type: 'short', job });
  Atomics.wait(answer, 0, roomAnswers.open);
  return Atomics.exchange(answer, 0, roomAnswers.open) === roomAnswers.made;
}

function found({ job, finding }: Extract<ToWorker, { type: 'found' }>): void {
  if (current?.start.job === job) current.found(finding);
}

async function handle(message: InTurn): Promise<void> {
  if (message.type === 'abort') return close(message.job);
  if (message.type !== 'start' && (current?.start.job !== message.job || current.failed)) return;
  try {
    await step(message);
  } catch (error) {
    if (current) current.failed = true;
    send({ type: 'failed', job: message.job, kind: kindOf(error), message: messageOf(error) });
  }
}

async function step(message: Exclude<InTurn, { type: 'abort' }>): Promise<void> {
  if (message.type === 'start') {
    if (current) throw new EngineError('internal', 'ingest layer: the thread is busy');
    const { promise, resolve } = Promise.withResolvers<Finding>();
    const follower: Follower = {
      bell: message.bell,
      follow(following) {
        send({ type: 'follow', job: message.job, following });
        return promise;
      },
    };
    const pass = new LayerPass(message, follower, () => askForRoom(message));
    current = { start: message, pass, found: resolve, failed: false };
    return;
  }
  const { start, pass } = current!;
  switch (message.type) {
    case 'slot':
      for (const bytes of slotBytesOf(start.ring, message)) await pass.write(bytes);
      send({ type: 'free', job: start.job, slot: message.slot, writtenBytes: pass.writtenBytes });
      return;
    case 'lent':
      await pass.write(Buffer.from(message.memory, message.offset, message.lengthBytes));
      send({ type: 'taken', job: start.job, writtenBytes: pass.writtenBytes });
      return;
    case 'end':
      send(await pass.finish());
      return;
    case 'index':
      if (message.path !== undefined) pass.writeIndex(message.path);
      close(message.job);
      return;
    default:
      message satisfies never;
  }
}

function close(job: number): void {
  if (current?.start.job === job) {
    current.pass[Symbol.dispose]();
    current = undefined;
  }
  send({ type: 'closed', job });
}
