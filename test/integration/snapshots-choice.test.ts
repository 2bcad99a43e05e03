import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { mountsBelow } from '#mount';
import { chainIDs } from '#oci';
import { chooseDriver, type DriverOptions, openErofs, openOverlay2, openVfs } from '#snapshots';
import { sys } from '#sys';
import { requireRoot, temporaryFolder } from '#testing';
import { probeErofs } from '../../src/snapshots/probe.ts';
import { Bench } from '../../src/snapshots/testsuite/bench.ts';
import { file, folder, whiteout } from '../../src/snapshots/testsuite/layers.ts';

function optionsIn(folder: string): DriverOptions {
  return { root: join(folder, 'root'), runRoot: join(folder, 'run'), contentPath: () => join(folder, 'none') };
}

test('the driver is found by trying, and says why', async (t) => {
  if (!requireRoot(t)) return;
  await using folder = await temporaryFolder();
  const { driver, reason } = await chooseDriver(optionsIn(folder.path));
  await using _ = driver;
  assert.equal(driver.name, 'erofs');
  assert.match(reason, /mounts layers as they stand/);
  assert.ok(driver.status().some(([name]) => name === 'Backing Filesystem'));
  assert.deepEqual(mountsBelow(folder.path), []);
  assert.deepEqual(
    readdirSync(join(folder.path, 'root')).filter((name) => name.startsWith('.')),
    [],
  );
});

test('a data root that is an overlay itself gets a driver that works there', async (t) => {
  if (!requireRoot(t)) return;
  await using folder = await temporaryFolder();
  const options = optionsIn(folder.path);
  const names = ['lower', 'upper', 'work', 'root'].map((name) => join(folder.path, name));
  for (const name of names) mkdirSync(name);
  const [lower, upper, work] = names;
  sys.mount('overlay', options.root, 'overlay', 0, `lowerdir=${lower},upperdir=${upper},workdir=${work}`);
  try {
    const { driver, reason } = await chooseDriver(options);
    await using _ = driver;
    assert.notEqual(driver.name, 'overlay2');
    const isLate = driver.name === 'vfs' || driver.name === 'fuse-overlayfs';
    assert.ok(isLate ? /erofs from files: .*overlay2: /s.test(reason) : driver.name === 'erofs');
  } finally {
    sys.umount(options.root, 0);
  }
});

test('a requested driver is taken, and the next start without a wish keeps it while it has snapshots', async (t) => {
  if (!requireRoot(t)) return;
  await using folder = await temporaryFolder();
  const options = optionsIn(folder.path);
  {
    await using driver = (await chooseDriver({ ...options, requested: 'vfs' })).driver;
    assert.equal(driver.name, 'vfs');
    await driver.prepare('c', []);
  }
  {
    await using driver = (await chooseDriver(options)).driver;
    assert.equal(driver.name, 'vfs');
    await assert.rejects(chooseDriver({ ...options, requested: 'overlay2' }), { kind: 'failed-precondition' });
    await driver.remove('c');
  }
  await using driver = (await chooseDriver(options)).driver;
  assert.equal(driver.name, 'erofs');
});

test('a driver that needs a file system of its own says so', async (t) => {
  if (!requireRoot(t)) return;
  await using folder = await temporaryFolder();
  if (sys.statfs(folder.path).type === 0x9123683e) return t.skip('the temporary folder is on btrfs');
  await assert.rejects(chooseDriver({ ...optionsIn(folder.path), requested: 'btrfs' }), {
    kind: 'failed-precondition',
    message: 'storage driver btrfs does not work here (requested): btrfs: the data root is not on btrfs',
  });
});

test('retired and unknown drivers are refused in words that help', async (t) => {
  if (!requireRoot(t)) return;
  await using folder = await temporaryFolder();
  const options = optionsIn(folder.path);
  for (const requested of ['aufs', 'devicemapper']) {
    await assert.rejects(chooseDriver({ ...options, requested }), (error: Error & { kind: string }) => {
      assert.equal(error.kind, 'failed-precondition');
      assert.match(error.message, new RegExp(`${requested} storage driver was retired.*docker save.*docker load`));
      return true;
    });
  }
  await assert.rejects(chooseDriver({ ...options, requested: 'floppy' }), {
    kind: 'invalid-argument',
    message: 'error initializing graphdriver: driver not supported: floppy',
  });
});

test('how layers are mounted can be asked for, and what no driver knows is refused', async (t) => {
  if (!requireRoot(t)) return;
  await using folder = await temporaryFolder();
  const options = optionsIn(folder.path);
  for (const [backing, words] of [
    ['file', 'file-backed'],
    ['loop', 'through loop devices'],
  ] as const) {
    const refusal = await probeErofs(folder.path, backing);
    const chosen = chooseDriver({ ...options, requested: 'erofs', storageOptions: { 'erofs.backing': backing } });
    if (refusal !== undefined) {
      await assert.rejects(chosen, { kind: 'failed-precondition' });
      continue;
    }
    await using driver = (await chosen).driver;
    assert.match((await chosen).reason, /as asked for/);
    assert.match(driver.status().find(([name]) => name === 'Layer Format')![1], new RegExp(words));
  }
  if ((await probeErofs(folder.path, 'file', true)) === undefined) {
    const direct = await chooseDriver({ ...options, requested: 'erofs', storageOptions: { 'erofs.directio': 'true' } });
    await using driver = direct.driver;
    assert.match(driver.status().find(([name]) => name === 'Layer Format')![1], /direct I\/O/);
  }
  for (const [requested, storageOptions, message] of [
    ['erofs', { 'erofs.directio': 'maybe' }, 'storage option erofs.directio=maybe: want true or false'],
    ['erofs', { 'erofs.backing': 'floppy' }, 'storage option erofs.backing=floppy: want file or loop'],
    ['overlay2', { 'erofs.backing': 'loop' }, 'overlay2: unknown option erofs.backing'],
    ['erofs', { 'overlay2.size': '1G' }, 'erofs: unknown option overlay2.size'],
    ['vfs', { 'vfs.size': '1G' }, 'vfs: unknown option vfs.size'],
    ['erofs', { 'erofs.size': 'much' }, "storage option erofs.size: invalid size: 'much'"],
  ] as const) {
    await assert.rejects(chooseDriver({ ...options, requested, storageOptions }), {
      kind: 'invalid-argument',
      message,
    });
  }
  const limited = await chooseDriver({ ...options, requested: 'overlay2', storageOptions: { 'overlay2.size': '2G' } });
  await using _ = limited.driver;
  assert.equal(limited.sizeLimitBytes, 2 ** 31);
});

test('layers that are read directly show the same', async (t) => {
  if (!requireRoot(t)) return;
  await using scratch = await temporaryFolder();
  const refusal = await probeErofs(scratch.path, 'file', true);
  if (refusal !== undefined) return t.skip(`this kernel does not read layers directly: ${refusal}`);
  await using bench = await Bench.open((options) => openErofs(options, 'file', { directIO: true }), openVfs);
  const odd = Buffer.from(Array.from({ length: 100_001 }, (_, i) => i & 0xff));
  const chain = await bench.root.add(
    [folder('d'), file('d/a', odd)],
    [file('d/b', 'odd'), file('d/c', odd.subarray(7))],
  );
  assert.deepEqual(await bench.differencesFromCopies(chain), []);
});

test('layers mount through loop devices where files cannot be mounted, and no device is left', async (t) => {
  if (!requireRoot(t)) return;
  const refusal = await (async () => {
    await using folder = await temporaryFolder();
    return await probeErofs(folder.path, 'loop');
  })();
  if (refusal !== undefined) {
    t.skip(`this kernel does not mount EROFS from loop devices: ${refusal}`);
    return;
  }
  await using bench = await Bench.open((options) => openErofs(options, 'loop'), openVfs);
  const chain = await bench.root.add([folder('d'), file('d/a', Buffer.alloc(10_000, 'x'))], [file('d/b', 'odd')]);
  assert.deepEqual(await bench.differencesFromCopies(chain), []);
  await bench.driver.removeLayer(chain[1]!, chainIDs(chain).slice(1));
  await bench.driver.removeLayer(chain[0]!, chainIDs(chain).slice(0, 1));
  const { stdout } = await promisify(execFile)('losetup', ['--list', '--noheadings', '--output', 'BACK-FILE']);
  assert.ok(!stdout.includes(bench.root.path));
});

test('a chain deeper than the kernel stacks is merged below and shows the same tree', async (t) => {
  if (!requireRoot(t)) return;
  await using bench = await Bench.open((options) => openErofs(options), openVfs);
  const layers = Array.from({ length: 520 }, (_, index) => [folder('d'), file('d/c', `version ${index}`)]);
  const chain = await bench.root.add(
    [folder('d', { mode: 0o711 }), file('d/a'), file('d/gone')],
    [folder('d'), whiteout('d/gone'), file('d/b')],
    ...layers,
    [file('d/top')],
  );
  const root = await bench.start('deep', chain);
  assert.ok(bench.mounts().length < 200);
  assert.deepEqual(readdirSync(join(root, 'd')), ['a', 'b', 'c', 'top']);
  await bench.stop('deep');
  assert.deepEqual(await Array.fromAsync(bench.driver.verify(chain)), []);
  for (const [position, id] of chainIDs(chain).entries()) await bench.driver.removeLayer(chain[position]!, [id]);
  const left = readdirSync(join(bench.root.path, 'tested/layers')).filter((name) => name !== 'init');
  assert.deepEqual(left, []);
});

test('a driver without indexes refuses a chain deeper than the kernel stacks', async (t) => {
  if (!requireRoot(t)) return;
  await using bench = await Bench.open((options) => openOverlay2(options), openVfs);
  const [one] = await bench.root.add([folder('d')]);
  const deep = Array.from({ length: 500 }, () => one!);
  await assert.rejects(bench.driver.view('deep', deep), { kind: 'failed-precondition' });
  assert.deepEqual(await bench.driver.list(), []);
});
