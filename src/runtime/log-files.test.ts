import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryFolder } from '#testing';
import { ensureWritten, logFiles, openLogFiles, rotateLog } from './log-files.ts';

/** What conmon does when it is told. */
const begins = (path: string) => () => {
  writeFileSync(path, '');
  return true;
};
const gone = () => false;

test('files move up by age, and the oldest goes', async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, 'x.log');
  await writeFile(join(folder.path, 'x.log.tmp'), '');
  for (const text of ['a', 'b', 'c', 'd']) {
    await writeFile(path, text);
    await rotateLog(path, 3, begins(path));
  }
  assert.deepEqual(await logFiles(path), [`${path}.2`, `${path}.1`, path]);
  const texts = await Promise.all((await logFiles(path)).map((file) => readFile(file, 'utf8')));
  assert.deepEqual(texts, ['c', 'd', '']);
});

test('a limit that was lowered takes what is beyond it', async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, 'x.log');
  for (const name of ['', '.1', '.2', '.5']) await writeFile(`${path}${name}`, name);
  await rotateLog(path, 2, begins(path));
  assert.deepEqual((await readdir(folder.path)).sort(), ['x.log', 'x.log.1']);
  assert.equal(await readFile(`${path}.1`, 'utf8'), '');
});

test('what a crash left between the two steps is put right, and reads meanwhile', async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, 'x.log');
  await writeFile(path, 'text');
  await rotateLog(path, 3, gone);
  assert.deepEqual(await logFiles(path), [`${path}.1`]);
  const [only, ...none] = await openLogFiles(path);
  assert.deepEqual(none, []);
  assert.deepEqual(await openLogFiles(path, only), []);
  await ensureWritten(path, begins(path));
  const newer = await openLogFiles(path, only);
  assert.equal(newer.length, 1);
  for (const file of [only!, ...newer]) await file.close();
});

test('who read a file that is gone by now goes on with all there is', async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, 'x.log');
  await writeFile(path, 'a');
  const [first] = await openLogFiles(path);
  for (let times = 0; times < 3; times++) await rotateLog(path, 2, begins(path));
  const rest = await openLogFiles(path, first);
  assert.equal(rest.length, 2);
  for (const file of [first!, ...rest]) await file.close();
});
