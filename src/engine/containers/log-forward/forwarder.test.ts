import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import type { LogFollow, LogMessage } from '#runtime';
import { temporaryFolder } from '#testing';
import { LogForwarder } from './forwarder.ts';

const messageAt = (taken: number): LogMessage => ({
  isStderr: false,
  time: { seconds: 0, nanos: 0 },
  text: Buffer.from(String(taken)),
  mark: { file: 'f', offset: 0, taken },
});

/** In blocks of four. */
async function* upTo(count: number, { from }: LogFollow): AsyncGenerator<LogMessage[]> {
  for (let taken = (from?.taken ?? 0) + 1; taken <= count; taken += 4) {
    const some = Array.from({ length: Math.min(4, count - taken + 1) }, (_, at) => messageAt(taken + at));
    yield some;
  }
}

/** Takes messages as a server does, and breaks before those it is told. */
class Server {
  readonly got: string[] = [];
  readonly breaksBefore = new Set<number>();
  readonly batch: number;
  refusals = 0;
  sends = 0;

  constructor(batch = 1) {
    this.batch = batch;
  }

  readonly open = async () => {
    if (this.refusals-- > 0) throw new Error('away');
    return {
      batch: this.batch,
      send: async (messages: readonly LogMessage[]) => {
        if (messages.some(({ mark }) => this.breaksBefore.delete(mark.taken))) throw new Error('broken');
        this.sends++;
        this.got.push(...messages.map(({ text }) => Buffer.from(text).toString()));
      },
      close: () => {},
    };
  };
}

async function forward(folder: string, server: Server, count: number): Promise<void> {
  const forwarder = new LogForwarder({
    positionPath: join(folder, 'position'),
    open: server.open,
    messages: (follow) => upTo(count, follow),
    name: 'test',
  });
  void forwarder.begin(Promise.resolve());
  await forwarder.drained(20_000);
}

test('each message once, over breaks and absences of the server', async () => {
  await using folder = await temporaryFolder();
  const server = new Server();
  server.refusals = 1;
  server.breaksBefore.add(3);
  await forward(folder.path, server, 5);
  assert.deepEqual(server.got, ['1', '2', '3', '4', '5']);
});

test('a server that takes several at once gets them so, and the position is behind the last', async () => {
  await using folder = await temporaryFolder();
  const server = new Server(3);
  server.breaksBefore.add(7);
  await forward(folder.path, server, 9);
  assert.deepEqual(server.got, ['1', '2', '3', '4', '5', '6', '7', '8', '9']);
  assert.ok(server.sends < 9, `${server.sends} sends`);
  assert.equal(JSON.parse(readFileSync(join(folder.path, 'position')).toString()).taken, 9);
});

test('the next one goes on where the last one was', async () => {
  await using folder = await temporaryFolder();
  const server = new Server();
  await forward(folder.path, server, 3);
  assert.deepEqual(JSON.parse(readFileSync(join(folder.path, 'position')).toString()), {
    file: 'f',
    offset: 0,
    taken: 3,
  });
  await forward(folder.path, server, 6);
  assert.deepEqual(server.got, ['1', '2', '3', '4', '5', '6']);
});

test('it is stopped while a server is dialled that does not answer', async () => {
  await using folder = await temporaryFolder();
  const forwarder = new LogForwarder({
    positionPath: join(folder.path, 'position'),
    open: () => new Promise(() => {}),
    messages: (follow) => upTo(1, follow),
    name: 'test',
  });
  void forwarder.begin(Promise.resolve());
  await forwarder.drained(50);
  const stopped = forwarder.stop().then(() => 'stopped');
  assert.equal(await Promise.race([stopped, wait(5_000, 'hangs', { ref: false })]), 'stopped');
});
