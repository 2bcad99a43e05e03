import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { temporaryFolder } from '#testing';
import { Exits } from './exits.ts';

/** As conmon does it. */
async function leave(folder: string, id: string, code: string): Promise<void> {
  await writeFile(join(folder, `${id}.XYZ`), code);
  await rename(join(folder, `${id}.XYZ`), join(folder, id));
}

test('an exit is told when it comes, and when it had come before', async () => {
  await using folder = await temporaryFolder();
  using exits = new Exits(folder.path);
  const [first, second] = [exits.wait('first'), exits.wait('second')];
  await leave(folder.path, 'second', '137');
  await leave(folder.path, 'first', '0');
  assert.deepEqual([(await first).exitCode, (await second).exitCode], [0, 137]);
  assert.equal((await exits.wait('second')).exitCode, 137);
  assert.equal(exits.read('third'), undefined);
});

test('a forgotten exit is gone; files of nobody are swept', async () => {
  await using folder = await temporaryFolder();
  using exits = new Exits(folder.path);
  await leave(folder.path, 'a', '1');
  await leave(folder.path, 'b', '2');
  await leave(folder.path, 'c', '3');
  exits.forget('a');
  exits.forget('a');
  exits.keepOnly(new Set(['b']));
  await turn();
  assert.deepEqual(
    ['a', 'b', 'c'].map((id) => existsSync(join(folder.path, id))),
    [false, true, false],
  );
});

test('a file that holds no number is no exit', async () => {
  await using folder = await temporaryFolder();
  using exits = new Exits(folder.path);
  await leave(folder.path, 'a', 'nonsense');
  assert.equal(exits.read('a'), undefined);
});
