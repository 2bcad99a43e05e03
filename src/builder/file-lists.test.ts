import assert from 'node:assert/strict';
import { readdir, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryFolder } from '#testing';
import type { FileComponent } from './executor/index.ts';
import { FileLists } from './file-lists.ts';

const files = (count: number): FileComponent[] =>
  Array.from({ length: count }, (_, n) => [`a "file" ${n}\n`, 'file', '', '644', `${n}`]);

test('a list comes back line by line; one that is not whole is none', async () => {
  await using folder = await temporaryFolder();
  const lists = new FileLists(join(folder.path, 'lists'));
  assert.equal(await lists.find('a'), undefined);
  await lists.keep('a', files(3));
  assert.deepEqual(
    (await lists.find('a'))?.map((line) => JSON.parse(line)),
    files(3),
  );
  await writeFile(join(folder.path, 'lists/a'), 'cut short');
  assert.equal(await lists.find('a'), undefined);
});

test('lists are bounded, the ones asked for longest ago go first, and those nobody names', async () => {
  await using folder = await temporaryFolder();
  const lists = new FileLists(folder.path, { lists: 2 });
  for (const [index, name] of ['a', 'b', 'c'].entries()) {
    await lists.keep(name, files(1));
    await utimes(join(folder.path, name), index + 1, index + 1);
    // Asking counts as using.
    if (name === 'b') await lists.find('a');
  }
  assert.deepEqual((await readdir(folder.path)).sort(), ['a', 'c']);
  await lists.keepOnly(new Set(['c', 'other']));
  assert.deepEqual(await readdir(folder.path), ['c']);
  await new FileLists(join(folder.path, 'none')).keepOnly(new Set());
});
