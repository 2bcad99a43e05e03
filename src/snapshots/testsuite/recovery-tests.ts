import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { requireRoot } from '#testing';
import { Bench } from './bench.ts';
import { file } from './layers.ts';
import type { DriverUnderTest } from './suite.ts';

export function recoveryTests({ name, open, reference, mounts }: DriverUnderTest): void {
  test(`${name}: after a crash, running snapshots are adopted and the rest is cleared`, async (t) => {
    if (!requireRoot(t)) return;
    await using bench = await Bench.open(open, reference);
    const chain = await bench.root.add([file('a', 'one')], [file('b')]);
    const other = await bench.root.add([file('other')]);
    const running = await bench.start('running', chain);
    writeFileSync(join(running, 'mine'), 'written before');
    await bench.start('lost', other);
    await bench.start('stopped', chain);
    const data = join(bench.root.path, 'tested');
    mkdirSync(join(data, 'snapshots', '.new-half'));
    mkdirSync(join(data, 'snapshots', 'no-record'));

    // The first driver is not disposed, as after kill -9: its mounts and files are as they were.
    await using next = await open(bench.root.options('tested'));
    await next.recover({
      snapshots: new Set(['running', 'stopped']),
      mounted: new Set(['running']),
      layers: new Set(chain),
    });
    if (mounts)
      assert.deepEqual(
        bench.mounts().filter((target) => target.includes('/mounts/')),
        [running],
      );
    const left = readdirSync(join(data, 'snapshots')).filter((entry) => !entry.startsWith('.removed'));
    assert.deepEqual(left.sort(), ['running', 'stopped']);

    assert.equal((await next.adopt('running')).root, running);
    assert.equal(readFileSync(join(running, 'mine')).toString(), 'written before');
    assert.deepEqual(await next.changes('running'), [{ kind: 'add', path: '/mine' }]);
    if (mounts) await assert.rejects(next.adopt('stopped'), { kind: 'not-found' });
    await next.unmount('running');
    assert.deepEqual(
      bench.mounts().filter((target) => target.includes('/mounts/')),
      [],
    );
    await next.remove('running');
    await next.remove('stopped');
    assert.equal((await next.layerUsage(other[0]!)).sizeBytes, 0);
    assert.ok((await next.layerUsage(chain[1]!)).sizeBytes > 0);
  });

  test(`${name}: a daemon that ends leaves held snapshots mounted and nothing else`, async (t) => {
    if (!requireRoot(t) || !mounts) return;
    await using bench = await Bench.open(open, reference);
    const chain = await bench.root.add([file('a', 'one')]);
    const other = await bench.root.add([file('b', 'two')]);
    const first = await open(bench.root.options('tested'));
    await first.unpack(chain);
    await first.prepare('held', chain);
    const { root } = await first.mount('held');
    await first.unpack(other);
    await first.prepare('idle', other);
    await first.mount('idle');
    await first.unmount('idle');
    await first[Symbol.asyncDispose]();
    assert.deepEqual(
      bench.mounts().filter((target) => target.includes('/mounts/')),
      [root],
    );
    assert.equal(readFileSync(join(root, 'a')).toString(), 'one');

    await using next = await open(bench.root.options('tested'));
    const all = new Set(['held', 'idle']);
    await next.recover({ snapshots: all, mounted: new Set(['held']), layers: new Set([...chain, ...other]) });
    await next.adopt('held');
    await next.unmount('held');
    for (const key of all) await next.remove(key);
    assert.ok(!existsSync(root));
  });

  test(`${name}: an unpacked chain is known to the next daemon`, async (t) => {
    if (!requireRoot(t)) return;
    await using bench = await Bench.open(open, reference);
    const chain = await bench.root.add([file('a', 'one')], [file('b')]);
    await bench.driver.unpack(chain);
    const before = readdirSync(join(bench.root.path, 'tested/layers'), { recursive: true }).sort();
    await using next = await open(bench.root.options('tested'));
    await next.recover({ snapshots: new Set(), mounted: new Set(), layers: new Set(chain) });
    await next.unpack(chain);
    assert.deepEqual(readdirSync(join(bench.root.path, 'tested/layers'), { recursive: true }).sort(), before);
  });
}
