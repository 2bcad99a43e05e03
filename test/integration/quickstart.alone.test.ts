/** The newcomer's command, as it is. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { requireRoot } from '#testing';

const home = join(import.meta.dirname, '..', '..');

test('the quickstart does the main job, says what to try next, cleans up and ends', async (t) => {
  if (!requireRoot(t)) return;
  const startedMs = Date.now();
  const child = spawn(process.execPath, [join(home, 'scripts/quickstart.ts')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  let doneMs = 0;
  for await (const chunk of child.stdout) {
    output += String(chunk);
    if (doneMs === 0 && output.includes('Done in')) doneMs = Date.now();
  }
  const code = child.exitCode ?? (await new Promise((resolve) => child.once('close', resolve)));
  assert.equal(code, 0, output);
  for (const command of ['import', 'build', 'run', 'ps', 'images', 'history', 'push', 'rmi', 'pull']) {
    assert.ok(output.includes(`\n$ wherry ${command} `) || output.includes(`\n$ wherry ${command}\n`), command);
  }
  assert.equal(output.match(/\$ wherry run --rm \S+\nHello from Wherry\n/g)?.length, 2);
  assert.ok(output.includes(`sh -c 'cat $PAGE; sleep 60'`), 'commands are shown as they can be typed');
  assert.ok(output.includes('unix:///run/wherry.sock'));
  const folder = /(\S+wherry-quickstart-\w+)\/base\.tar/.exec(output)?.[1];
  assert.ok(folder && !existsSync(folder), 'its folder is gone');
  assert.ok(Date.now() - doneMs < doneMs - startedMs, 'it ends when it says that it is done');
});
