import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryFolder } from '#testing';
import { removeFolder } from './index.ts';

test('a folder goes whole, also while somebody else removes its files', async () => {
  await using scratch = await temporaryFolder();
  const folder = join(scratch.path, 'busy');
  mkdirSync(folder);
  for (let at = 0; at < 3000; at++) writeFileSync(join(folder, String(at)), '');
  const script = `
    const fs = require('node:fs');
    const names = fs.readdirSync(process.argv[1]);
    console.log('begins');
    for (const name of names) try { fs.unlinkSync(process.argv[1] + '/' + name); } catch {}`;
  const other = spawn(process.execPath, ['-e', script, folder], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(other, 'exit');
  await once(other.stdout, 'data');
  removeFolder(folder);
  assert.equal(existsSync(folder), false);
  await ended;
  removeFolder(folder); // absent is fine
});
