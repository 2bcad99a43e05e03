import assert from 'node:assert/strict';
import { existsSync, readFileSync, readlinkSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readTar } from '#archive';
import { requireRoot } from '#testing';
import { dockerMountPoints } from '../types.ts';
import { Bench } from './bench.ts';
import { file, folder, symlink } from './layers.ts';
import type { DriverUnderTest } from './suite.ts';

export function lifecycleTests({ name, open, reference, mounts }: DriverUnderTest): void {
  test(`${name}: snapshots are listed with what they are, and gone when removed`, async (t) => {
    if (!requireRoot(t)) return;
    await using bench = await Bench.open(open, reference);
    const { driver } = bench;
    const chain = await bench.root.add([file('a')]);
    await driver.unpack(chain);
    await driver.prepare('one', chain);
    await driver.view('any key/of all:kinds', chain);
    const listed = [...(await driver.list())].sort((a, b) => (a.key < b.key ? -1 : 1));
    assert.deepEqual(listed, [
      { key: 'any key/of all:kinds', kind: 'view', chain },
      { key: 'one', kind: 'active', chain },
    ]);
    await assert.rejects(driver.prepare('one', chain), { kind: 'already-exists' });
    await assert.rejects(driver.view('one', chain), { kind: 'already-exists' });
    await driver.remove('one');
    await driver.remove('any key/of all:kinds');
    await driver.remove('never was');
    assert.deepEqual(await driver.list(), []);
    for (const call of [() => driver.mount('one'), () => driver.changes('one'), () => driver.usage('one')])
      await assert.rejects(call(), { kind: 'not-found' });
    await assert.rejects(Array.fromAsync(driver.diff('one')), { kind: 'not-found' });
  });

  test(`${name}: writes stay in their snapshot and last over unmounts`, async (t) => {
    if (!requireRoot(t)) return;
    await using bench = await Bench.open(open, reference);
    const chain = await bench.root.add([folder('d'), file('d/f', 'base')]);
    const one = await bench.start('one', chain);
    const two = await bench.start('two', chain);
    writeFileSync(join(one, 'd/f'), 'mine');
    assert.equal(readFileSync(join(two, 'd/f')).toString(), 'base');
    await bench.driver.unmount('one');
    const again = (await bench.driver.mount('one')).root;
    assert.equal(readFileSync(join(again, 'd/f')).toString(), 'mine');
    await bench.stop('one');
    await bench.stop('two');
  });

  test(`${name}: an ephemeral snapshot keeps its writes over unmounts too`, async (t) => {
    if (!requireRoot(t)) return;
    await using bench = await Bench.open(open, reference);
    const chain = await bench.root.add([file('f', 'base')]);
    await bench.driver.unpack(chain);
    await bench.driver.prepare('step', chain, { ephemeral: true });
    writeFileSync(join((await bench.driver.mount('step')).root, 'f'), 'mine');
    await bench.driver.unmount('step');
    assert.equal(readFileSync(join((await bench.driver.mount('step')).root, 'f')).toString(), 'mine');
    await bench.stop('step');
  });

  test(`${name}: mount points are there and are no change`, async (t) => {
    if (!requireRoot(t)) return;
    await using bench = await Bench.open(open, reference);
    const { driver } = bench;
    const chain = await bench.root.add([
      folder('etc', { mode: 0o711, uid: 3 }),
      file('etc/hosts', 'of the image'),
      symlink('sys', 'elsewhere'),
      folder('run'),
      symlink('dev', 'run/devices'),
      folder('run/devices'),
    ]);
    await driver.unpack(chain);
    for (const [key, layers] of [
      ['with', chain],
      ['again', chain],
      ['scratch', []],
    ] as const) {
      await driver.prepare(key, layers, { mountPoints: dockerMountPoints });
      const { root } = await driver.mount(key);
      assert.deepEqual(await driver.changes(key), []);
      assert.equal(await driver.isChanged(key), false);
      assert.ok(statSync(join(root, 'etc/hostname')).isFile());
      assert.ok(statSync(join(root, 'proc')).isDirectory());
      assert.equal(readlinkSync(join(root, 'etc/mtab')), '/proc/mounts');
      writeFileSync(join(root, 'etc/new'), 'x');
      assert.deepEqual(await driver.changes(key), [
        { kind: 'modify', path: '/etc' },
        { kind: 'add', path: '/etc/new' },
      ]);
      assert.equal(await driver.isChanged(key), true);
      const paths = await Array.fromAsync(readTar(driver.diff(key)), ({ path }) => path);
      assert.deepEqual(paths, ['etc/', 'etc/new']);
    }
    const root = (await driver.mount('with')).root;
    assert.equal(readFileSync(join(root, 'etc/hosts')).toString(), 'of the image');
    assert.equal(readlinkSync(join(root, 'sys')), 'elsewhere');
    assert.equal(statSync(join(root, 'etc')).mode & 0o7777, 0o711);
    assert.equal(statSync(join(root, 'etc')).uid, 3);
    assert.ok(statSync(join(root, 'run/devices/shm')).isDirectory());
    for (const key of ['with', 'again', 'scratch']) await driver.remove(key);
  });

  test(`${name}: a view shows the chain`, async (t) => {
    if (!requireRoot(t)) return;
    await using bench = await Bench.open(open, reference);
    const chain = await bench.root.add([file('a', 'one')], [file('a', 'two'), file('b')]);
    for (const [index, text] of ['one', 'two'].entries()) {
      await bench.driver.unpack(chain.slice(0, index + 1));
      await bench.driver.view('v', chain.slice(0, index + 1));
      const { root } = await bench.driver.mount('v');
      assert.equal(readFileSync(join(root, 'a')).toString(), text);
      if (mounts) assert.throws(() => writeFileSync(join(root, 'a'), 'x'), { code: 'EROFS' });
      await assert.rejects(Array.fromAsync(bench.driver.diff('v')), { kind: 'failed-precondition' });
      assert.deepEqual(await bench.driver.changes('v'), []);
      await bench.stop('v');
    }
    await bench.driver.view('nothing', []);
    assert.ok(existsSync((await bench.driver.mount('nothing')).root));
    await bench.stop('nothing');
  });

  test(`${name}: many mounts of one snapshot are one mount`, async (t) => {
    if (!requireRoot(t) || !mounts) return;
    await using bench = await Bench.open(open, reference);
    const chain = await bench.root.add([file('a')]);
    await bench.driver.unpack(chain);
    await bench.driver.prepare('s', chain);
    const roots = await Promise.all([1, 2, 3].map(() => bench.driver.mount('s')));
    assert.equal(new Set(roots.map(({ root }) => root)).size, 1);
    const target = roots[0]!.root;
    assert.equal(bench.mounts().filter((mount) => mount === target).length, 1);
    await bench.driver.unmount('s');
    await bench.driver.unmount('s');
    assert.ok(bench.mounts().includes(target));
    await bench.driver.unmount('s');
    assert.ok(!bench.mounts().includes(target));
    await bench.driver.unmount('s');
    await bench.driver.remove('s');
  });

  test(`${name}: removing a mounted snapshot unmounts it`, async (t) => {
    if (!requireRoot(t)) return;
    await using bench = await Bench.open(open, reference);
    const root = await bench.start('s', await bench.root.add([file('a')]));
    await bench.driver.remove('s');
    assert.ok(!bench.mounts().includes(root));
    assert.ok(!existsSync(join(root, 'a')));
  });

  test(`${name}: files of all layers and of the snapshot are on one device`, async (t) => {
    if (!requireRoot(t)) return;
    await using bench = await Bench.open(open, reference);
    const root = await bench.start('s', await bench.root.add([file('a')], [file('b')], [folder('d'), file('d/c')]));
    writeFileSync(join(root, 'd/new'), 'x');
    const devices = ['.', 'a', 'b', 'd', 'd/c', 'd/new'].map((path) => statSync(join(root, path)).dev);
    assert.equal(new Set(devices).size, 1);
    await bench.stop('s');
  });
}
