import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OutputQueue } from './output-queue.ts';

const chunk = (size: number) => ({ stream: 'stdout' as const, data: Buffer.alloc(size) });

test('it says when it is full and when there is room', async () => {
  let rooms = 0;
  const queue = new OutputQueue({ limitBytes: 10, onRoom: () => rooms++ });
  queue.push(chunk(9));
  assert.equal(queue.isFull, false);
  queue.push(chunk(5));
  assert.equal(queue.isFull, true);
  await queue.next();
  assert.deepEqual([queue.isFull, rooms], [false, 1]);
  await queue.next();
  assert.equal(rooms, 1);
});

test('what waits is still read after the end; nothing after a discard', async () => {
  const ended = new OutputQueue({ limitBytes: 10, onRoom: () => {} });
  ended.push(chunk(3));
  ended.end();
  ended.push(chunk(4));
  assert.equal((await ended.next())?.data.byteLength, 3);
  assert.equal(await ended.next(), undefined);
  let rooms = 0;
  const discarded = new OutputQueue({ limitBytes: 2, onRoom: () => rooms++ });
  discarded.push(chunk(3));
  discarded.discard();
  assert.equal(await discarded.next(), undefined);
  assert.equal(rooms, 1);
});

test('a consumer that waits is woken by a chunk and by the end', async () => {
  const queue = new OutputQueue({ limitBytes: 10, onRoom: () => {} });
  const first = queue.next();
  queue.push(chunk(1));
  assert.equal((await first)?.data.byteLength, 1);
  const second = queue.next();
  queue.end();
  assert.equal(await second, undefined);
});
