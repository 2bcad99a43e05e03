import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import type { DiskAccount } from '#api-types';
import { connect } from '#client';
import { serveRegistry } from '#registry-server';
import { TestDaemon } from '../support/daemon.ts';
import { imageSetup, load, type Setup, tarOf, verify } from './images-fixture.ts';

const blobs = ({ daemon }: Setup) => join(daemon.dataRoot, 'content/blobs/sha256');

/** Files of the store that are gzip streams. */
function compressed(setup: Setup): string[] {
  const names = readdirSync(blobs(setup));
  return names.filter(
    (name) =>
      readFileSync(join(blobs(setup), name))
        .subarray(0, 2)
        .toString('hex') === '1f8b',
  );
}

function flip(path: string): void {
  const bytes = readFileSync(path);
  bytes[bytes.length >> 1]! ^= 4;
  writeFileSync(path, bytes);
}

const digestOf = (said: string) => /digest: (sha256:[0-9a-f]{64})/i.exec(said)?.[1] ?? assert.fail(said);

async function account(setup: Setup): Promise<DiskAccount> {
  await using engine = connect(setup.daemon.host);
  return await engine.system.account();
}

const sizeOf = ({ Parts }: DiskAccount, kind: string) => Parts.find(({ Kind }) => Kind === kind)!.Size;

test('--retain both: pull, then push without the registry it came from, gives the same digest; damage is repaired from here', async (t) => {
  await using setup = await imageSetup(t, ['--retain', 'both', '--undo-grace=0']);
  if (!setup) return;
  const { docker, folder } = setup;
  await using target = await serveRegistry({ root: join(folder, 'target'), addr: '127.0.0.1:0' });
  const [copy, again] = [`${target.address}/copy:1`, `${target.address}/again:1`];
  let pulled: string;
  {
    await using source = await serveRegistry({ root: join(folder, 'source'), addr: '127.0.0.1:0' });
    const name = `${source.address}/app:1`;
    const layers = [tarOf({ a: 'one', noise: randomBytes(2_000_000) }), tarOf({ b: 'x'.repeat(50_000) })];
    await load(setup, { layers, tags: [name] });
    pulled = digestOf(await docker.ok('push', name));
    assert.equal(compressed(setup).length, 2, 'what was compressed for the push stays');
    await docker.ok('rmi', name);
    assert.deepEqual(readdirSync(blobs(setup)), [], 'and goes with the image');
    assert.equal(digestOf(await docker.ok('pull', name)), pulled);
    assert.equal(compressed(setup).length, 2);
    await docker.ok('tag', name, copy);
    await docker.ok('tag', name, again);
    const before = sizeOf(await account(setup), 'images');
    const onDisk = readdirSync(blobs(setup)).reduce((sum, file) => sum + allocated(join(blobs(setup), file)), 0);
    assert.ok(before >= onDisk, 'all of it counts as the image');
  }
  assert.equal(digestOf(await docker.ok('push', copy)), pulled);
  assert.equal(verify(setup).status, 0);

  const [one = '', two = ''] = compressed(setup);
  const layerOf = await docker.ok('image', 'inspect', '-f', '{{index .RootFS.Layers 0}}', copy);
  flip(join(blobs(setup), layerOf.trim().slice('sha256:'.length)));
  flip(join(blobs(setup), two));
  const found = verify(setup);
  assert.equal(found.status, 1);
  assert.match(found.output, new RegExp(`blob sha256:${two}: .*hurts image ${copy.split(':')[0]}`));
  await using engine = connect(setup.daemon.host);
  const items = await Array.fromAsync(engine.system.repair());
  assert.deepEqual(
    items.map(({ Subject, RepairedFrom, Reason }) => [Subject, Reason ?? RepairedFrom !== undefined]).sort(),
    [
      [`blob ${layerOf.trim()}`, true],
      [`blob sha256:${two}`, true],
    ].sort(),
  );
  assert.equal(verify(setup).status, 0);
  assert.deepEqual(compressed(setup).sort(), [one, two].sort());
  assert.equal(digestOf(await docker.ok('push', again)), pulled);
});

test('compressed layers come back with an undo', async (t) => {
  await using setup = await imageSetup(t, ['--retain', 'both', '--undo-min-free=0']);
  if (!setup) return;
  const { docker, folder } = setup;
  await using registry = await serveRegistry({ root: join(folder, 'registry'), addr: '127.0.0.1:0' });
  const name = `${registry.address}/app:1`;
  await load(setup, { layers: [tarOf({ a: randomBytes(100_000) })], tags: [name] });
  await docker.ok('push', '-q', name);
  const kept = compressed(setup);
  assert.equal(kept.length, 1);
  await docker.ok('rmi', name);
  assert.deepEqual(compressed(setup), kept, 'in the trash');
  await using engine = connect(setup.daemon.host);
  await engine.trash.undo({});
  assert.deepEqual(compressed(setup), kept);
  await engine.trash.empty();
  assert.deepEqual(compressed(setup), kept);
  await docker.ok('rmi', name);
  await engine.trash.empty();
  assert.deepEqual(compressed(setup), []);
  assert.equal(verify(setup).status, 0);
});

function allocated(path: string): number {
  return statSync(path).blocks * 512;
}

test('--retain-repository keeps what is of these repositories; what an option keeps no longer is let go by the next start', async (t) => {
  await using setup = await imageSetup(t, ['--retain-repository', 'localhost/none']);
  if (!setup) return;
  const { docker, folder, daemon } = setup;
  await using registry = await serveRegistry({ root: join(folder, 'registry'), addr: '127.0.0.1:0' });
  const [kept, other] = [`${registry.address}/team/app:1`, `${registry.address}/teams/app:1`];
  await load(setup, { layers: [tarOf({ a: randomBytes(100_000) })], tags: [kept] });
  await load(setup, { layers: [tarOf({ b: randomBytes(100_000) })], tags: [other] });
  for (const name of [kept, other]) await docker.ok('push', '-q', name);
  assert.deepEqual(compressed(setup), []);
  await daemon.stop();
  {
    const flags = ['--bridge=none', '--iptables=false', '--retain-repository', `${registry.address}/team`];
    await using _ = await TestDaemon.start({ folder: daemon.folder, flags });
    for (const name of [kept, other]) await docker.ok('pull', '-q', name);
    assert.equal(compressed(setup).length, 1);
    assert.equal(verify(setup).status, 0);
  }
  {
    const flags = ['--bridge=none', '--iptables=false', '--retain=both'];
    await using _ = await TestDaemon.start({ folder: daemon.folder, flags });
    assert.equal(compressed(setup).length, 1);
  }
  await daemon.start();
  for (let tries = 0; tries < 100 && compressed(setup).length > 0; tries++) await wait(20);
  assert.deepEqual(compressed(setup), []);
  assert.equal(verify(setup).status, 0);
  assert.match(await docker.ok('images', '-q'), /\w/);
});
