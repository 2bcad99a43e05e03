import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { makeSpreadFolder } from './spread-folder.ts';

const folder = mkdtempSync(join(tmpdir(), 'wherry-spread-'));
after(() => rmSync(folder, { recursive: true }));

const ext4 = 0xef53;

test('a folder and its parents are made', async () => {
  const path = join(folder, 'a/b');
  await makeSpreadFolder(path, { mode: 0o700 });
  await makeSpreadFolder(path, { mode: 0o700 });
  assert.match(execFileSync('stat', ['-c', '%a', path], { encoding: 'utf8' }), /^700/);
});

test('on ext4 its subfolders are spread', { skip: statfsSync(folder).type !== ext4 && 'not on ext4' }, async () => {
  const path = join(folder, 'spread');
  assert.equal(await makeSpreadFolder(path, { mode: 0o700 }), true);
  assert.match(execFileSync('lsattr', ['-d', path], { encoding: 'utf8' }), /^\S*T/);
});
