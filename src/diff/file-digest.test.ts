import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { digestOf } from '#oci';
import { DigestThreads } from './digest-threads.ts';
import { FileDigest } from './file-digest.ts';

const folder = mkdtempSync(join(tmpdir(), 'file-digest-'));
const threads = new DigestThreads();
after(async () => {
  await threads[Symbol.asyncDispose]();
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
    using digest = new FileDigest(path, 'sha256', threads);
    const bytes = grown(path, digest, pieces);
    assert.equal(await digest.finish(), digestOf(bytes));
  });

test('what is written after the last word about it counts too', async () => {
  const path = join(folder, 'tail');
  using digest = new FileDigest(path, 'sha512', threads);
  const bytes = grown(path, digest, 5);
  appendFileSync(path, 'tail');
  digest.advance(bytes.length + 4);
  assert.equal(await digest.finish(), digestOf(Buffer.concat([bytes, Buffer.from('tail')]), 'sha512'));
});

test('an abandoned file does not hold the next one up, nor answers for it', async () => {
  const left = new FileDigest(join(folder, 'left'), 'sha256', threads);
  grown(join(folder, 'left'), left, 6);
  left[Symbol.dispose]();
  using digest = new FileDigest(join(folder, 'next'), 'sha256', threads);
  const bytes = grown(join(folder, 'next'), digest, 7);
  assert.equal(await digest.finish(), digestOf(bytes));
});

test('files that grow side by side each get their own', async () => {
  const algorithms = ['sha256', 'sha256', 'sha512', 'sha256', 'sha256'] as const;
  const digests = algorithms.map((algorithm, at) => new FileDigest(join(folder, `side-${at}`), algorithm, threads));
  const contents = digests.map(() => [] as Buffer[]);
  for (let round = 0; round < 12; round++)
    for (const [at, digest] of digests.entries()) {
      if (round > 6 + at) continue;
      const bytes = Buffer.concat([piece, Buffer.from(`${at} ${round}`)]);
      contents[at]!.push(bytes);
      appendFileSync(join(folder, `side-${at}`), bytes);
      digest.advance(contents[at]!.reduce((sum, { length }) => sum + length, 0));
    }
  digests[3]![Symbol.dispose]();
  for (const [at, digest] of digests.entries())
    if (at !== 3) assert.equal(await digest.finish(), digestOf(Buffer.concat(contents[at]!), algorithms[at]!));
});

test('one that fails does not take the one beside it along', async () => {
  using gone = new FileDigest(join(folder, 'never'), 'sha256', threads);
  using short = new FileDigest(join(folder, 'short'), 'sha256', threads);
  using digest = new FileDigest(join(folder, 'beside'), 'sha256', threads);
  writeFileSync(join(folder, 'short'), piece);
  short.advance(9 << 20);
  gone.advance(8 << 20);
  const bytes = grown(join(folder, 'beside'), digest, 9);
  await assert.rejects(short.finish(), /the file ends at byte 1048576/);
  await assert.rejects(gone.finish(), /ENOENT/);
  assert.equal(await digest.finish(), digestOf(bytes));
});

test('a file that is gone, and a thread that ended, are errors', async () => {
  const gone = join(folder, 'gone');
  using digest = new FileDigest(gone, 'sha256', threads);
  digest.advance(8 << 20);
  await assert.rejects(digest.finish(), /hash layer: ENOENT/);

  const ending = new DigestThreads();
  const path = join(folder, 'ending');
  using cut = new FileDigest(path, 'sha256', ending);
  grown(path, cut, 6);
  await sleep(50);
  await ending[Symbol.asyncDispose]();
  await assert.rejects(cut.finish(), /hash layer: the thread ended/);
});
