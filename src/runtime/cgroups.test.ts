import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { isKind } from '#errdefs';
import { temporaryFolder } from '#testing';
import { Cgroup, findCgroups } from './cgroups.ts';

const v1 = (controllers: string) =>
  `30 25 0:26 / /sys/fs/cgroup/${controllers} rw,relatime - cgroup cgroup rw,${controllers}\n`;
const v2 = (target: string) => `31 25 0:27 / ${target} rw,relatime shared:4 - cgroup2 cgroup2 rw\n`;

test('the mount table tells v2, v1 and hybrid apart', () => {
  const pure = findCgroups(v2('/sys/fs/cgroup'));
  assert.deepEqual([pure.version, pure.roots, pure.folder('memory')], [2, ['/sys/fs/cgroup'], '/sys/fs/cgroup']);
  const hybrid = findCgroups(v1('cpu,cpuacct') + v1('memory') + v2('/sys/fs/cgroup/unified'));
  assert.equal(hybrid.version, 1);
  assert.equal(hybrid.folder('cpuacct'), '/sys/fs/cgroup/cpu,cpuacct');
  assert.equal(hybrid.folder('pids'), undefined);
  assert.deepEqual(hybrid.roots, ['/sys/fs/cgroup/cpu,cpuacct', '/sys/fs/cgroup/memory', '/sys/fs/cgroup/unified']);
  assert.throws(
    () => findCgroups(''),
    (error) => isKind(error, 'failed-precondition'),
  );
});

test('what a cgroup that is gone, or lacks a file, answers', async () => {
  await using folder = await temporaryFolder();
  const cgroups = { version: 2 as const, roots: [folder.path], folder: () => folder.path };
  const gone = new Cgroup(cgroups, '/gone');
  assert.deepEqual([gone.processes(), gone.wasOomKilled(), gone.remove()], [[], false, true]);
  await mkdir(join(folder.path, 'c', 'inner'), { recursive: true });
  await writeFile(join(folder.path, 'c', 'cgroup.procs'), '12\n13\n');
  await writeFile(join(folder.path, 'c', 'inner', 'cgroup.procs'), '14\n');
  await writeFile(join(folder.path, 'c', 'memory.events'), 'low 0\noom 2\noom_kill 1\n');
  const cgroup = new Cgroup(cgroups, '/c');
  assert.deepEqual(cgroup.processes(), [12, 13, 14]);
  assert.equal(cgroup.wasOomKilled(), true);
  await writeFile(join(folder.path, 'c', 'memory.events'), 'low 0\noom 2\noom_kill 0\n');
  assert.equal(cgroup.wasOomKilled(), false);
});

test('removal takes children first, and says when one is busy', async () => {
  await using folder = await temporaryFolder();
  const cgroups = { version: 2 as const, roots: [folder.path], folder: () => folder.path };
  await mkdir(join(folder.path, 'c', 'a', 'b'), { recursive: true });
  assert.equal(new Cgroup(cgroups, '/c').remove(), true);
  await mkdir(join(folder.path, 'd', 'a'), { recursive: true });
  await writeFile(join(folder.path, 'd', 'a', 'busy'), '');
  assert.equal(new Cgroup(cgroups, '/d').remove(), false);
});
