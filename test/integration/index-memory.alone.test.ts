import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { endOfArchive, packHeader } from '#archive';
import { temporaryFolder } from '#testing';

const perFolder = 50;

/** The headers of a layer like those of package managers: many small folders of files with long names. */
function* headers(files: number): Generator<Buffer> {
  for (let i = 0; i < files; i++) {
    const folder = `usr/lib/node_modules/package-${Math.floor(i / perFolder)}`;
    const mtime = { sec: 1_600_000_000 + i, nsec: 0 };
    if (i % perFolder === 0) yield packHeader({ type: 'directory', path: folder, mode: 0o755, mtime });
    yield packHeader({ type: 'file', path: `${folder}/some-module-file-${i}.js`, mode: 0o644, sizeBytes: 0, mtime });
  }
  yield Buffer.from(endOfArchive);
}

test('indexing a layer takes 64 MB and 160 bytes for each of its entries, at most', async () => {
  await using folder = await temporaryFolder();
  const [small, large] = [join(folder.path, 'small'), join(folder.path, 'large.tar')];
  await pipeline(Readable.from(headers(10)), createWriteStream(small));
  await pipeline(Readable.from(headers(300_000)), createWriteStream(large));
  const script = join(import.meta.dirname, '../support/index-memory.ts');
  const { stdout } = await promisify(execFile)(process.execPath, [script, small, large, folder.path]);
  const { inodes, tookBytes } = JSON.parse(stdout) as { inodes: number; tookBytes: number };
  assert.ok(inodes > 300_000);
  const limit = (64 << 20) + 160 * inodes;
  assert.ok(tookBytes <= limit, `${tookBytes} bytes for ${inodes} entries, ${limit} at most`);
});
