import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { gunzipSync, inflateRawSync, zstdDecompressSync } from 'node:zlib';
import fc from 'fast-check';
import { isKind } from '#errdefs';
import { digestOf } from '#oci';
import { readAll } from '#streams';
import { fastDeflate } from './fast-deflate.ts';
import { compressLayer } from './index.ts';

async function* cut(bytes: Buffer, sizeBytes: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += sizeBytes) yield bytes.subarray(at, at + sizeBytes);
}

for (const [by, level] of [
  ['the fastest way', undefined],
  ['zlib', 1],
] as const)
  test(`any bytes survive, in one member, the same whatever the chunks, by ${by}`, () => survive(level));

async function survive(level: number | undefined): Promise<void> {
  const text = Buffer.from('the quick brown fox '.repeat(20_000));
  const data = Buffer.concat([text, randomBytes(700_000), text, Buffer.alloc(1_500_000), text]);
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 0, max: data.length }),
      fc.integer({ min: 1000, max: 3_000_000 }),
      fc.integer({ min: 1, max: 4 }),
      async (length, chunkBytes, parallel) => {
        const bytes = data.subarray(0, length);
        const options = level === undefined ? {} : { level };
        const compressed = compressLayer(cut(bytes, chunkBytes), { ...options, parallel });
        const out = await readAll(compressed, 1 << 24);
        assert.equal(gunzipSync(out).equals(bytes), true);
        assert.deepEqual(compressed.result, { digest: digestOf(out), sizeBytes: out.length });
        const again = await readAll(compressLayer(cut(bytes, 1 << 20), options), 1 << 24);
        assert.equal(again.equals(out), true);
      },
    ),
    { numRuns: 10 },
  );
}

test('gzip itself reads it', async () => {
  const data = Buffer.concat([Buffer.from('the quick brown fox '.repeat(200_000)), randomBytes(3_000_000)]);
  const out = await readAll(compressLayer(cut(data, 77_777)), 1 << 24);
  const { stdout, stderr } = spawnSync('gzip', ['-dc'], { input: out, maxBuffer: 1 << 26 });
  assert.equal(stderr.toString(), '');
  assert.ok(stdout.equals(data));
});

test('blocks of whatever is in them, and windows of any length, come back', async (t) => {
  const deflate = fastDeflate();
  if (!deflate) return t.skip('native/deflate.c is not built here');
  const piece = fc.oneof(
    fc.uint8Array({ maxLength: 5000 }),
    fc
      .tuple(fc.uint8Array({ minLength: 1, maxLength: 9 }), fc.integer({ min: 1, max: 4000 }))
      .map(([unit, times]) => Buffer.concat(Array.from({ length: times }, () => unit))),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(piece, { maxLength: 12 }),
      fc.integer({ max: 32 << 10, min: 0 }),
      async (pieces, windowBytes) => {
        const block = Buffer.concat(pieces);
        const window = block.subarray(0, windowBytes);
        const out = await deflate(block, window);
        const stream = Buffer.concat([out, Buffer.from([0x03, 0x00])]);
        const dictionary = window.length > 0 ? { dictionary: window } : {};
        assert.ok(inflateRawSync(stream, dictionary).equals(block));
        assert.ok((await deflate(Buffer.from(block), Buffer.from(window))).equals(out), 'the same bytes again');
      },
    ),
    { numRuns: 200 },
  );
});

test('levels are honoured, and the result comes at the end only', async () => {
  const data = Buffer.from(Array.from({ length: 300_000 }, (_, i) => `${i * 7919}`).join(' '));
  const sizes = [];
  for (const level of [1, 9]) sizes.push((await readAll(compressLayer(cut(data, 99_999), { level }), 1 << 24)).length);
  assert.ok(sizes[1]! < sizes[0]!);
  assert.throws(
    () => compressLayer(cut(data, 1000)).result,
    (error) => isKind(error, 'failed-precondition'),
  );
});

test('a failing source fails the stream; leaving early releases it', async () => {
  async function* failing() {
    yield randomBytes(3_000_000);
    throw new TypeError('disk gone');
  }
  await assert.rejects(readAll(compressLayer(failing()), 1 << 24), /disk gone/);
  let released = false;
  async function* watched() {
    try {
      for (;;) yield randomBytes(1 << 20);
    } finally {
      released = true;
    }
  }
  for await (const chunk of compressLayer(watched())) if (chunk.byteLength > 100) break;
  assert.equal(released, true);
});

test('zstd: any bytes survive, the same whatever the chunks and however many at once, and levels are honoured', async () => {
  const text = Buffer.from('the quick brown fox '.repeat(40_000));
  const data = Buffer.concat([text, randomBytes(5_000_000), Buffer.alloc(3_000_000), text]);
  for (const length of [0, 1, 4 << 20, data.length]) {
    const bytes = data.subarray(0, length);
    const compressed = compressLayer(cut(bytes, 77_777), { format: 'zstd', parallel: 3 });
    const out = await readAll(compressed, 1 << 24);
    assert.equal(zstdDecompressSync(out).equals(bytes), true);
    assert.deepEqual(compressed.result, { digest: digestOf(out), sizeBytes: out.length });
    const again = await readAll(compressLayer(cut(bytes, 1 << 20), { format: 'zstd', parallel: 1 }), 1 << 24);
    assert.equal(again.equals(out), true);
  }
  const numbers = Buffer.from(Array.from({ length: 300_000 }, (_, i) => `${i * 7919}`).join(' '));
  const sizes = [];
  for (const level of [1, 19]) {
    const out = await readAll(compressLayer(cut(numbers, 99_999), { format: 'zstd', level }), 1 << 24);
    sizes.push(out.length);
  }
  assert.ok(sizes[1]! < sizes[0]!);
});
