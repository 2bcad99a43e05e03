import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { requireRoot } from '#testing';
import { Bench } from './bench.ts';
import { file, folder } from './layers.ts';
import type { DriverUnderTest } from './suite.ts';

const megabyte = Buffer.alloc(1 << 20, 'x');

/** Writes until the disk is full; answers how many whole megabytes it took. */
function fill(folderPath: string): number {
  for (let count = 0; ; count++) {
    try {
      writeFileSync(join(folderPath, `file-${count}`), megabyte, { flush: true });
    } catch (error) {
      // The second number is EDQUOT, which Node has no name for.
      assert.ok([-28, -122].includes((error as NodeJS.ErrnoException).errno ?? 0), String(error));
      return count;
    }
    assert.ok(count < 1000, 'nothing limits what is written');
  }
}

export function limitTests({ name, open, reference }: DriverUnderTest): void {
  test(`${name}: a snapshot of limited size takes so much and no more, or is refused`, async (t) => {
    if (!requireRoot(t)) return;
    await using bench = await Bench.open(open, reference);
    const { driver } = bench;
    // What the image has does not count.
    const chain = await bench.root.add([folder('d', { mode: 0o700 }), file('d/below', Buffer.alloc(30 << 20, 'y'))]);
    await driver.unpack(chain);
    const prepared = driver.prepare('x', chain, { sizeLimitBytes: 20 << 20 });
    if (driver.sizeLimitRefusal() !== undefined) {
      await assert.rejects(prepared, { kind: 'failed-precondition' });
      assert.deepEqual(await driver.list(), []);
      return;
    }
    await prepared;
    assert.deepEqual(await driver.changes('x'), []);
    const { root } = await driver.mount('x');
    const written = fill(join(root, 'd'));
    assert.ok(written >= 19 && written <= 30, `${written} MB of 20 were written`);
    const names = readdirSync(join(root, 'd')).sort();
    await driver.unmount('x');
    assert.ok((await driver.usage('x')).sizeBytes >= written << 20);
    assert.equal((await driver.changes('x')).length, 1 + names.length - 1);
    assert.ok(await driver.isChanged('x'));

    const again = (await driver.mount('x')).root;
    assert.deepEqual(readdirSync(join(again, 'd')).sort(), names);
    assert.deepEqual(readFileSync(join(again, 'd/file-0')), megabyte);
    for (const entry of names) if (entry !== 'below') rmSync(join(again, 'd', entry));
    mkdirSync(join(again, 'more'));
    assert.ok(fill(join(again, 'more')) >= written - 2, 'what was removed can be written again');
    await bench.stop('x');
    assert.deepEqual(readdirSync(join(bench.root.path, 'tested/snapshots')).filter(isLeft), []);
  });

  test(`${name}: a limited snapshot outlives the daemon, running or not`, async (t) => {
    if (!requireRoot(t)) return;
    await using bench = await Bench.open(open, reference);
    if (bench.driver.sizeLimitRefusal() !== undefined) return;
    const chain = await bench.root.add([folder('d')]);
    await bench.driver.unpack(chain);
    const roots: string[] = [];
    for (const key of ['running', 'killed', 'lost']) {
      await bench.driver.prepare(key, chain, { sizeLimitBytes: 10 << 20 });
      const { root } = await bench.driver.mount(key);
      writeFileSync(join(root, 'mine'), key);
      roots.push(root);
    }

    await using next = await open(bench.root.options('tested'));
    const snapshots = new Set(['running', 'killed']);
    await next.recover({ snapshots, mounted: new Set(['running']), layers: new Set(chain) });
    assert.equal((await next.adopt('running')).root, roots[0]);
    assert.equal(readFileSync(join(roots[0]!, 'mine')).toString(), 'running');
    const { root } = await next.mount('killed');
    assert.equal(readFileSync(join(root, 'mine')).toString(), 'killed');
    for (const key of snapshots) {
      assert.deepEqual(await next.changes(key), [{ kind: 'add', path: '/mine' }]);
      await next.unmount(key);
      await next.remove(key);
    }
    const left = bench.mounts().filter((target) => !target.includes('/layers/'));
    assert.deepEqual(left, []);
  });
}

const isLeft = (entry: string) => !entry.startsWith('.removed');
