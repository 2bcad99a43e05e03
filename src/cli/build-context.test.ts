import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { readTar } from '#archive';
import { temporaryFolder } from '#testing';
import { folderSource, listFolder } from './build-context.ts';

const namesIn = async (tar: AsyncIterable<Uint8Array>) => await Array.fromAsync(readTar(tar), ({ path }) => path);

test('a folder with more files than a listing is for is a tar', async () => {
  await using folder = await temporaryFolder();
  await mkdir(join(folder.path, 'd'));
  for (const name of ['Dockerfile', 'd/a', 'd/b']) await writeFile(join(folder.path, name), 'x');
  const few = await folderSource(folder.path, 'Dockerfile', { maxEntries: 4 });
  assert.ok('listing' in few);
  const many = await folderSource(folder.path, 'Dockerfile', { maxEntries: 3 });
  assert.ok(!('listing' in many));
  assert.deepEqual(await namesIn(many), ['Dockerfile', 'd/', 'd/a', 'd/b']);
});

test('a listing tells folders, users of Dockerfiles and moments apart, and has the Dockerfile in it', async () => {
  await using folder = await temporaryFolder();
  for (const name of ['Dockerfile', 'Other', 'f']) await writeFile(join(folder.path, name), name);
  const headerOf = async (dockerfile: string) => {
    const lines = (await listFolder(folder.path, dockerfile)).listing.toString().split('\n');
    const inline = lines
      .slice(1, -1)
      .filter((line) => line.includes('"content"'))
      .map((line) => JSON.parse(line)[1]);
    return { ...(JSON.parse(lines[0]!) as { context: string; takenMs: number; entries: number }), inline };
  };
  const [one, other, again] = [await headerOf('Dockerfile'), await headerOf('Other'), await headerOf('Dockerfile')];
  assert.equal(one.context, again.context);
  assert.notEqual(one.context, other.context);
  assert.deepEqual([one.entries, one.inline, other.inline], [3, ['Dockerfile'], ['Other']]);
  assert.ok(one.takenMs <= again.takenMs);
});
