import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { temporaryFolder } from '#testing';
import { ownProcessList, QuickMoves } from './quick-moves.ts';

const hybrid = {
  version: 1,
  roots: [],
  folder: (controller: string) => `/cg/${controller.replace('name=', '')}`,
} as const;
const unified = { version: 2, roots: [], folder: () => '/cg' } as const;

test('our own list of processes is found in either version', () => {
  assert.equal(ownProcessList(hybrid, '3:cpu:/x\n1:name=systemd:/a/b\n0::/c\n'), '/cg/systemd/a/b/cgroup.procs');
  assert.equal(ownProcessList(unified, '0::/c\n'), '/cg/c/cgroup.procs');
  assert.equal(ownProcessList(hybrid, '3:cpu:/x\n'), undefined);
});

test('we stay where we are until nobody expects a move any more', async () => {
  await using folder = await temporaryFolder();
  const list = join(folder.path, 'cgroup.procs');
  writeFileSync(list, '');
  let writes = 0;
  const moves = new QuickMoves(() => {
    writes++;
    return list;
  });
  moves.expect();
  moves.expect();
  await delay(150);
  assert.equal(readFileSync(list).toString(), String(process.pid));
  const done = writes;
  assert.ok(done >= 1);
  await delay(30);
  assert.equal(writes, done);
  moves.expect();
  moves.stop();
  await delay(30);
  assert.equal(writes, done + 1);
});

test('a list that is not there is not made', async () => {
  await using folder = await temporaryFolder();
  const list = join(folder.path, 'cgroup.procs');
  const moves = new QuickMoves(() => list);
  moves.expect();
  await delay(20);
  assert.equal(existsSync(list), false);
});
