import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { connect, createServer } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { test } from 'node:test';
import { givenBackWhenSent } from './sent-chunks.ts';

const large = 300_000;

async function* chunks(sizes: readonly number[], made: Buffer[]): AsyncGenerator<Buffer> {
  for (const size of sizes) {
    const chunk = Buffer.allocUnsafeSlow(size).fill(randomBytes(1000));
    made.push(chunk);
    yield chunk;
  }
}

test('large chunks go when the next but one is asked for, small ones and the last stay', async () => {
  const made: Buffer[] = [];
  const left = async (count: number, from: AsyncGenerator<Uint8Array>) => {
    for (let at = 0; at < count; at++) await from.next();
    return made.map(({ length }) => length);
  };
  const passed = givenBackWhenSent(chunks([large, 5, large, large, large], made));
  assert.deepEqual(await left(2, passed), [large, 5], 'the one before may still be on its way');
  assert.deepEqual(await left(1, passed), [0, 5, large]);
  assert.deepEqual(await left(1, passed), [0, 5, large, large]);
  assert.deepEqual(await left(1, passed), [0, 5, 0, large, large]);
  await passed.return(undefined);
  assert.deepEqual(
    made.map(({ length }) => length),
    [0, 5, 0, large, large],
  );
});

test('a connection that is slow gets every byte as it was', async () => {
  const received = createHash('sha256');
  const server = createServer(async (socket) => {
    for await (const chunk of socket) {
      received.update(chunk as Buffer);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    socket.end('done');
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const sent = createHash('sha256');
  const sizes = Array.from({ length: 60 }, (_, at) => (at % 7 === 0 ? 100 : large + at));
  const noted = (async function* () {
    for await (const chunk of chunks(sizes, [])) {
      sent.update(chunk);
      yield chunk;
    }
  })();
  const socket = connect((server.address() as { port: number }).port, '127.0.0.1');
  await pipeline(givenBackWhenSent(noted), socket, { end: true });
  for await (const _ of socket);
  server.close();
  assert.equal(received.digest('hex'), sent.digest('hex'));
});
