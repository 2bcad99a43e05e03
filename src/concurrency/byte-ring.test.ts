import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { RingReader } from './byte-ring.ts';

const writerModule = JSON.stringify(new URL('./byte-ring.ts', import.meta.url).href);

/** Runs `body` in a thread, where `writer` is the other end of the ring. */
function writing(ring: RingReader, body: string, data: unknown = undefined): Worker {
  const source = `
    import { parentPort, workerData } from 'node:worker_threads';
    import { RingWriter } from ${writerModule};
    const writer = new RingWriter(workerData.memory);
    const { data } = workerData;
    try { ${body} } catch (error) { parentPort.postMessage(String(error)); }`;
  return new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`), {
    workerData: { memory: ring.memory, data },
  });
}

for (const lend of [false, true]) {
  test(`bytes come in order and whole, many times what the ring holds${lend ? ', in chunks that are lent' : ''}`, async () => {
    await sendMany(lend);
  });
}

async function sendMany(lend: boolean): Promise<void> {
  const ring = new RingReader();
  const sent = randomBytes(37_000_001);
  await using _ = writing(
    ring,
    `for (let at = 0, size = 1; at < data.length; at += size, size = (size * 7) % 3_000_017) writer.write(data.subarray(at, at + size));
     writer.end();`,
    sent,
  );
  const parts = await Array.fromAsync(ring.bytes({ lend }), (part) => (lend ? Buffer.from(part) : part));
  assert.ok(Buffer.concat(parts).equals(sent));
}

test('room that is filled in place comes like what is written', async () => {
  const ring = new RingReader();
  const body = `
    for (let number = 0; number < 3000; number++) {
      const room = writer.room(2000);
      room.subarray(0, 2000).fill(number % 251);
      writer.advance(2000);
      writer.write(Buffer.of(255));
    }
    writer.end();`;
  await using _ = writing(ring, body);
  const all = Buffer.concat(await Array.fromAsync(ring.bytes()));
  assert.equal(all.length, 3000 * 2001);
  for (let number = 0; number < 3000; number++) {
    const piece = all.subarray(number * 2001, (number + 1) * 2001);
    assert.ok(piece.subarray(0, 2000).every((byte) => byte === number % 251));
    assert.equal(piece[2000], 255);
  }
});

test('a writer whose reader leaves is told, also while it waits for room', async () => {
  const ring = new RingReader();
  await using worker = writing(ring, 'while (true) writer.write(Buffer.alloc(100_000));');
  const told = new Promise((resolve) => worker.once('message', resolve));
  for await (const chunk of ring.bytes()) {
    assert.ok(chunk.length > 0);
    break;
  }
  assert.equal(await told, 'Error: nobody reads on');
});

test('a reader whose writer is gone gets what there is, and then the end', async () => {
  const ring = new RingReader();
  await using worker = writing(ring, 'writer.write(Buffer.alloc(1 << 20, 7)); writer.write(Buffer.of(1, 2));');
  await new Promise((resolve) => worker.once('exit', resolve));
  ring.close();
  const all = Buffer.concat(await Array.fromAsync(ring.bytes()));
  assert.equal(all.length, 1 << 20, 'what was not handed over is not there');
});
