import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { closeSync, lstatSync, mkdirSync, openSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { setSink } from '#log';
import { mountOverlay, mountsBelow, readMountTable, unmount, unmountBelow } from '#mount';
import { requireRoot, temporaryFolder } from '#testing';

function folders(root: string, ...names: readonly string[]): string[] {
  return names.map((name) => {
    const path = join(root, name);
    mkdirSync(path, { recursive: true });
    return path;
  });
}

test('an overlay over paths of any characters and any length', async (t) => {
  if (!requireRoot(t)) return;
  await using temporary = await temporaryFolder();
  const root = join(temporary.path, ...Array.from({ length: 4 }, () => 'x'.repeat(80)), 'a:b,c \\d');
  const [one, two, upper, work, target] = folders(root, 'one', 'two', 'upper', 'work', 'target');
  writeFileSync(join(one!, 'f'), 'one');
  writeFileSync(join(two!, 'f'), 'two');
  writeFileSync(join(two!, 'g'), 'two');
  mountOverlay({ lowers: [one!, two!], writable: { upper: upper!, work: work! }, target: target! });
  try {
    assert.equal(readFileSync(join(target!, 'f'), 'utf8'), 'one');
    assert.equal(readFileSync(join(target!, 'g'), 'utf8'), 'two');
    writeFileSync(join(target!, 'new'), 'x');
    assert.deepEqual(readdirSync(upper!), ['new']);
    assert.equal(mountsBelow(temporary.path)[0]?.target, target);
  } finally {
    assert.equal(await unmount(target!), true);
  }
  assert.equal(await unmount(target!), false);
  assert.equal(await unmount(join(root, 'not there')), false);
});

test('layers of different filesystems show one device', async (t) => {
  if (!requireRoot(t)) return;
  await using temporary = await temporaryFolder();
  const [one, target] = folders(temporary.path, 'one', 'target');
  writeFileSync(join(one!, 'f'), 'x');
  mountOverlay({ lowers: [one!, '/dev/shm'], target: target! });
  try {
    assert.equal(lstatSync(join(target!, 'f')).dev, lstatSync(target!).dev);
    assert.throws(() => writeFileSync(join(target!, 'f'), 'y'), { code: 'EROFS' });
  } finally {
    await unmount(target!);
  }
});

test('what the kernel refuses is told with its reason, and leaves no mount', async (t) => {
  if (!requireRoot(t)) return;
  await using temporary = await temporaryFolder();
  const [one, target] = folders(temporary.path, 'one', 'target');
  assert.throws(() => mountOverlay({ lowers: [one!, join(temporary.path, 'missing')], target: target! }), {
    kind: 'internal',
    message: /mount overlay on .*ENOENT/,
  });
  const many = Array.from({ length: 501 }, () => one!);
  assert.throws(() => mountOverlay({ lowers: many, target: target! }), { kind: 'failed-precondition' });
  assert.deepEqual(mountsBelow(temporary.path), []);
});

test('a busy mount is detached in the end, and a folder of mounts is cleared except for what is kept', async (t) => {
  if (!requireRoot(t)) return;
  await using temporary = await temporaryFolder();
  const [one, two, a, b] = folders(temporary.path, 'one', 'two', 'mounts/a', 'mounts/b');
  for (const target of [a!, b!]) mountOverlay({ lowers: [one!, two!], target });
  const fd = openSync(a!, 'r');
  const previous = setSink(() => {});
  try {
    assert.equal(await unmountBelow(join(temporary.path, 'mounts'), (target) => target === b), 1);
    assert.ok(!readMountTable().some(({ target }) => target === a));
    assert.ok(readMountTable().some(({ target }) => target === b));
  } finally {
    setSink(previous);
    closeSync(fd);
    await unmountBelow(temporary.path);
  }
  assert.deepEqual(mountsBelow(temporary.path), []);
});

test('a mount table of any size can be read, with overlays of many layers in it', async (t) => {
  if (!requireRoot(t)) return;
  await using temporary = await temporaryFolder();
  const reader = join(import.meta.dirname, '../support/long-mount-table.ts');
  const args = ['--mount', process.execPath, '--disable-warning=ExperimentalWarning', reader, temporary.path];
  const { stdout } = await promisify(execFile)('unshare', args);
  assert.equal(stdout, '604\n');
});
