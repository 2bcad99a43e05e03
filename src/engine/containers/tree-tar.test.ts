import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { closeSync, linkSync, mkdirSync, openSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readTar } from '#archive';
import { isKind } from '#errdefs';
import { temporaryFolder } from '#testing';
import { TreeTar } from './tree-tar.ts';

const block = 1 << 20;

test('a tree comes whole in blocks, whether they are lent or not', async () => {
  await using temporary = await temporaryFolder();
  const folder = temporary.path;
  const files = makeTree(folder);
  for (const lend of [true, false]) {
    const chunks = await chunksOf(folder, { lend });
    assert.ok(chunks.length < 8, `${chunks.length} chunks`);
    const found = new Map<string, string>();
    for await (const { path, type, body } of readTar(packed(chunks))) {
      const data = await Array.fromAsync(body, (part) => Buffer.from(part));
      found.set(path, type === 'file' ? digestOf(Buffer.concat(data)) : type);
    }
    assert.deepEqual(found, files, lend ? 'lent' : 'kept');
  }
});

test('a file that shrinks while it is read fails the archive', async () => {
  await using temporary = await temporaryFolder();
  const folder = temporary.path;
  writeFileSync(join(folder, 'large'), Buffer.alloc(4 * block, 1));
  const reading = chunksOf(folder, { lend: true, onChunk: () => truncateSync(join(folder, 'large'), block) });
  await assert.rejects(reading, (error) => isKind(error, 'data-loss') && /the file changed/.test(String(error)));
});

/** Small files, some that end where a block does, and some larger than one. Answers their data by name. */
function makeTree(folder: string): Map<string, string> {
  const expected = new Map<string, string>([['t/', 'directory']]);
  mkdirSync(join(folder, 't'));
  const sizes = [0, 1, 511, 512, 513, 64 << 10, (64 << 10) + 1, block - 1024, block, 2 * block + 7];
  for (const [index, size] of [...sizes, ...sizes.slice(0, 6)].entries()) {
    const name = `t/${String(index).padStart(2, '0')}`;
    const data = Buffer.alloc(size, `file ${index}`);
    writeFileSync(join(folder, name), data);
    expected.set(name, digestOf(data));
  }
  symlinkSync('00', join(folder, 't/s'));
  linkSync(join(folder, 't/01'), join(folder, 't/z'));
  return expected.set('t/s', 'symlink').set('t/z', 'hardlink');
}

/** Chunks as somebody gets them who copies each before the next is asked for. */
async function chunksOf(
  folder: string,
  { lend, onChunk = () => {} }: { lend: boolean; onChunk?: () => void },
): Promise<Buffer[]> {
  const fd = openSync(folder, 'r');
  const chunks: Buffer[] = [];
  const kept: Uint8Array[] = [];
  try {
    for await (const chunk of new TreeTar(fd, { lend }).packChildren('/')) {
      chunks.push(Buffer.from(chunk));
      kept.push(chunk);
      onChunk();
    }
  } finally {
    closeSync(fd);
  }
  // What is not lent is the consumer's to keep.
  if (!lend) assert.equal(digestOf(Buffer.concat(kept)), digestOf(Buffer.concat(chunks)));
  return chunks;
}

function digestOf(data: Buffer): string {
  return `${data.byteLength} ${hash('sha256', data)}`;
}

async function* packed(chunks: readonly Buffer[]): AsyncGenerator<Buffer> {
  yield* chunks;
}
