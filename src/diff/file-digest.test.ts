import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { digestOf } from '#oci';
import { DigestThread, FileDigest } from './file-digest.ts';

const folder = mkdtempSync(join(tmpdir(), 'file-digest-'));
const thread = new DigestThread();
after(async () => {
  await thread.terminate();
  rmSync(folder, { recursive: true });
});

const piece = Buffer.from(Array.from({ length: 1 << 20 }, (_, at) => (at * 7919) % 251));

function grown(path: string, digest: FileDigest, pieces: number): Buffer {
  writeFileSync(path, '');
  for (let count = 1; count <= pieces; count++) {
    appendFileSync(path, piece);
    digest.advance(count * piece.length);
  }
  return Buffer.concat(Array.from({ length: pieces }, () => piece));
}

for (const [pieces, what] of [
  [0, 'an empty file'],
  [3, 'a small file'],
  [4, 'a file of the size from which on a thread follows'],
  [9, 'a large file'],
] as const)
  test(`${what} gets the digest of its bytes`, async () => {
    const path = join(folder, `size-${pieces}`);
    using digest = new FileDigest(path, 'sha256', thread);
    const bytes = grown(path, digest, pieces);
    assert.equal(await digest.finish(), digestOf(bytes));
  });

test('what is written after the last word about it counts too', async () => {
  const path = join(folder, 'tail');
  using digest = new FileDigest(path, 'sha512', thread);
  const bytes = grown(path, digest, 5);
  appendFileSync(path, 'tail');
  digest.advance(bytes.length + 4);
  assert.equal(await digest.finish(), digestOf(Buffer.concat([bytes, Buffer.from('tail')]), 'sha512'));
});

test('an abandoned file does not hold the next one up, nor answers for it', async () => {
  const left = new FileDigest(join(folder, 'left'), 'sha256', thread);
  grown(join(folder, 'left'), left, 6);
  left[Symbol.dispose]();
  using digest = new FileDigest(join(folder, 'next'), 'sha256', thread);
  const bytes = grown(join(folder, 'next'), digest, 7);
  assert.equal(await digest.finish(), digestOf(bytes));
});

test('a file that is gone, and a thread that ended, are errors', async () => {
  const gone = join(folder, 'gone');
  using digest = new FileDigest(gone, 'sha256', thread);
  digest.advance(8 << 20);
  await assert.rejects(digest.finish(), /hash layer: ENOENT/);

  const ending = new DigestThread();
  const path = join(folder, 'ending');
  using cut = new FileDigest(path, 'sha256', ending);
  grown(path, cut, 6);
  await sleep(50);
  await ending.terminate();
  await assert.rejects(cut.finish(), /hash layer: the thread ended/);
});
