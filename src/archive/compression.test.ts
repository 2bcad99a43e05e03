import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { isKind } from '#errdefs';
import { fromBytes, readAll } from '#streams';
import { decompress, peek, sniffCompression } from './index.ts';

const data = Buffer.concat([randomBytes(300_000), Buffer.alloc(3_000_000, 7)]);

async function* bytewise(bytes: Buffer): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += at < 20 ? 1 : 9999) yield bytes.subarray(at, at + (at < 20 ? 1 : 9999));
}

test('gzip members, zstd frames and plain bytes come out whole', async () => {
  const half = data.subarray(0, 1_000_000);
  const rest = data.subarray(1_000_000);
  const skippable = Buffer.from([0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 9, 9]);
  for (const stream of [
    data,
    gzipSync(data),
    Buffer.concat([gzipSync(half), gzipSync(rest)]),
    zstdCompressSync(data),
    Buffer.concat([skippable, zstdCompressSync(half), zstdCompressSync(rest)]),
  ]) {
    assert.equal((await readAll(decompress(bytewise(stream)), 1 << 24)).equals(data), true);
  }
});

test('what is lent, each piece until the next is asked for, comes out whole', async () => {
  async function* lent(bytes: Buffer): AsyncGenerator<Uint8Array> {
    for await (const piece of bytewise(bytes)) {
      const chunk = Buffer.from(piece);
      yield chunk;
      chunk.fill(0xee);
    }
  }
  for (const stream of [data, gzipSync(data), zstdCompressSync(data)]) {
    const parts: Buffer[] = [];
    for await (const chunk of decompress(lent(stream), { lent: true })) parts.push(Buffer.from(chunk));
    assert.equal(Buffer.concat(parts).equals(data), true);
  }
});

test('broken and truncated streams are invalid', async () => {
  for (const whole of [gzipSync(data), zstdCompressSync(data)]) {
    const broken = Buffer.from(whole);
    broken.fill(0xee, whole.length - 400, whole.length - 100);
    for (const stream of [whole.subarray(0, whole.length - 20), broken]) {
      await assert.rejects(readAll(decompress(bytewise(stream)), 1 << 24), (error) =>
        isKind(error, 'invalid-argument'),
      );
    }
  }
});

test('bzip2 and xz need a decompressor', async () => {
  const bzip2 = Buffer.from('BZh91AY&SY');
  const xz = Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0, 1, 2]);
  for (const stream of [bzip2, xz]) {
    let released = false;
    async function* source() {
      try {
        yield stream;
        yield stream;
      } finally {
        released = true;
      }
    }
    await assert.rejects(readAll(decompress(source()), 100), (error) => isKind(error, 'not-implemented'));
    assert.equal(released, true);
  }
  const external = { xz: (source: AsyncIterable<Uint8Array>) => source };
  assert.deepEqual(await readAll(decompress(fromBytes(xz), { external }), 100), xz);
});

test('sniffing needs only what it says', async () => {
  assert.equal(sniffCompression(new Uint8Array()), 'none');
  assert.equal(sniffCompression(Buffer.from('BZh')), 'bzip2');
  const { start, rest } = await peek(fromBytes('ab', 'cd'), 3);
  assert.equal(start.toString(), 'abc');
  assert.equal((await readAll(rest, 10)).toString(), 'abcd');
});

test('the first error of the source arrives as it was', async () => {
  async function* source() {
    yield gzipSync(data).subarray(0, 1000);
    throw new TypeError('line cut');
  }
  await assert.rejects(readAll(decompress(source()), 1 << 24), /line cut/);
});

test('a stream that is given up early and turns out broken later harms nobody', async () => {
  const faults: unknown[] = [];
  const note = (error: unknown) => faults.push(error);
  process.on('uncaughtException', note);
  try {
    for (const whole of [gzipSync(data), zstdCompressSync(data)]) {
      for (const kept of [9000, whole.length - 20]) {
        for await (const _ of decompress(fromBytes(whole.subarray(0, kept)))) break;
      }
    }
    await wait(50);
  } finally {
    process.off('uncaughtException', note);
  }
  assert.deepEqual(faults, []);
});
