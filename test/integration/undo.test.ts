import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Engine } from '#api-types';
import { isKind } from '#errdefs';
import { requireRoot } from '#testing';
import { BtrfsDisk } from '../support/btrfs-disk.ts';
import { TestDaemon } from '../support/daemon.ts';
import { drain, inPieces, noise, tarOf, verifies } from './crash-fixture.ts';
import { run, withBase } from './daemon-fixture.ts';

/** Kept whatever the test machine's disk has free. */
const keepsAlways = ['--undo-min-free=0'];

async function buildImage(engine: Engine, name: string, files: Readonly<Record<string, string | Uint8Array>>) {
  const context = tarOf({ Dockerfile: 'FROM base\nCOPY . /files/\n', ...files });
  await drain(engine.build(inPieces(context), { t: [name] }));
  return (await engine.images.inspect(name)).Id;
}

async function tags(engine: Engine): Promise<Record<string, string>> {
  const images = await engine.images.list();
  return Object.fromEntries(images.flatMap(({ Id, RepoTags }) => (RepoTags ?? []).map((tag) => [tag, Id])));
}

test('a removed image comes back with its names and its bytes, after a crash too; an emptied trash brings nothing back', async (t) => {
  if (!requireRoot(t)) return;
  await using daemon = await TestDaemon.start({ flags: keepsAlways });
  await using engine = await withBase(daemon.host);
  const id = await buildImage(engine, 'app:1', { data: noise(1 << 20) });
  await engine.pruneBuildCache({ all: true });
  await engine.trash.empty();
  const before = await tags(engine);
  await engine.images.remove('app:1');
  assert.equal((await tags(engine))['app:1'], undefined);
  const [item] = await engine.trash.list();
  assert.equal(`${item?.Action} ${item?.Subject}`, 'rmi app:1');
  assert.ok(item!.Size > 1 << 20, `keeps ${item?.Size} bytes`);

  await daemon.kill();
  await verifies(daemon);
  await daemon.start();
  const [undone] = await engine.trash.undo();
  assert.deepEqual(undone?.Notes, []);
  assert.deepEqual(await tags(engine), before);
  assert.equal((await engine.images.inspect('app:1')).Id, id);
  assert.equal(
    await run(engine, 'reads', { Image: 'app:1', Cmd: ['sh', '-c', 'wc -c < /files/data'] }).then(() => id),
    id,
  );
  await engine.containers.remove('reads', { force: true });
  await engine.trash.empty();

  await engine.images.remove('app:1');
  assert.ok((await engine.trash.empty()).SpaceFreed > 1 << 20);
  assert.deepEqual(await engine.trash.list(), []);
  await assert.rejects(engine.trash.undo(), (error) => isKind(error, 'not-found'));
  await verifies(daemon);
});

test('an overwritten name goes back to the image that had it; one that is taken by now stays', async (t) => {
  if (!requireRoot(t)) return;
  await using daemon = await TestDaemon.start({ flags: keepsAlways });
  await using engine = await withBase(daemon.host);
  const first = await buildImage(engine, 'app:1', { version: 'one' });
  const second = await buildImage(engine, 'app:1', { version: 'two' });
  await engine.images.tag('base', 'app', '1');
  const [tagged, built] = await engine.trash.list();
  assert.deepEqual([tagged?.Action, built?.Action], ['tag', 'build']);
  await assert.rejects(engine.trash.undo({ number: built!.Number }), /app:1 was moved again since/);
  await engine.trash.undo();
  assert.equal((await tags(engine))['app:1'], second);
  await engine.trash.undo();
  assert.equal((await tags(engine))['app:1'], first);

  await engine.images.remove('app:1');
  await engine.images.tag('base', 'app', '1');
  const [undone] = await engine.trash.undo();
  assert.match(undone?.Notes.join() ?? '', /app:1 names another image by now/);
  assert.equal((await engine.images.inspect(first)).Id, first);
  assert.equal((await tags(engine))['app:1'], (await engine.images.inspect('base')).Id);
});

async function containerComesBack(daemon: TestDaemon): Promise<void> {
  await using engine = await withBase(daemon.host);
  const id = await run(engine, 'web', {
    Cmd: ['sh', '-c', 'echo said; echo kept > /written; echo stored > /own/file'],
    Volumes: { '/own': {} },
    HostConfig: { Binds: ['named:/named'] },
  });
  await (await engine.containers.wait(id)).result;
  const seen = async () => ({
    container: await engine.containers.inspect(id),
    changes: await engine.containers.changes(id),
    volumes: await engine.volumes.list(),
    log: (await Array.fromAsync((await engine.containers.logs(id, { stdout: true })).wire)).join(),
  });
  const before = await seen();
  await engine.containers.remove(id, { volumes: true });
  await engine.volumes.remove('named');
  assert.deepEqual(await engine.containers.list({ all: true }), []);
  assert.deepEqual((await engine.volumes.list()).Volumes, []);
  await verifies(daemon);
  await daemon.kill();
  await daemon.start();
  await verifies(daemon);

  await engine.trash.undo({ count: 2 });
  assert.deepEqual(await seen(), before);
  assert.deepEqual(await engine.trash.list(), []);
  await verifies(daemon);
  await engine.containers.start(id);
  await (await engine.containers.wait(id)).result;
}

test('a removed container comes back with what it wrote, its log and its volumes, across a crash', async (t) => {
  if (!requireRoot(t)) return;
  await using daemon = await TestDaemon.start({ flags: keepsAlways });
  await containerComesBack(daemon);
});

test('so does one whose snapshot is a subvolume', async (t) => {
  if (!requireRoot(t)) return;
  await using disk = await BtrfsDisk.make(t, 1 << 30);
  if (!disk) return;
  const flags = [...keepsAlways, '--storage-driver=btrfs'];
  await using daemon = await TestDaemon.start({ folder: disk.path, flags });
  await containerComesBack(daemon);
});

test('a container whose name is taken does not come back before the name is free', async (t) => {
  if (!requireRoot(t)) return;
  await using daemon = await TestDaemon.start({ flags: keepsAlways });
  await using engine = await withBase(daemon.host);
  const { Id } = await engine.containers.create({ Image: 'base', Cmd: ['true'] }, { name: 'web' });
  await engine.containers.remove('web');
  await engine.containers.create({ Image: 'base', Cmd: ['true'] }, { name: 'web' });
  await assert.rejects(engine.trash.undo(), /the container name "web" is in use by [0-9a-f]{64}/);
  await engine.containers.rename('web', 'other');
  await engine.trash.undo();
  assert.equal((await engine.containers.inspect('web')).Id, Id);
});

test('with --undo-grace=0, with --rm and on a full disk nothing is kept', async (t) => {
  if (!requireRoot(t)) return;
  for (const flag of ['--undo-grace=0', '--undo-min-free=100']) {
    await using daemon = await TestDaemon.start({ flags: [flag] });
    await using engine = await withBase(daemon.host);
    await engine.containers.create({ Image: 'base', Cmd: ['true'] }, { name: 'web' });
    await engine.containers.remove('web');
    await engine.images.remove('base');
    assert.deepEqual(await engine.trash.list(), [], flag);
    await verifies(daemon);
  }
  await using daemon = await TestDaemon.start({ flags: keepsAlways });
  await using engine = await withBase(daemon.host);
  await engine.containers.create({ Image: 'base', Cmd: ['true'], HostConfig: { AutoRemove: true } }, { name: 'web' });
  await engine.containers.remove('web');
  assert.deepEqual(await engine.trash.list(), []);
});

test('what was kept goes when its time is over', async (t) => {
  if (!requireRoot(t)) return;
  await using daemon = await TestDaemon.start({ flags: [...keepsAlways, '--undo-grace=100ms'] });
  await using engine = await withBase(daemon.host);
  await engine.images.remove('base');
  for (let tries = 0; tries < 400 && (await engine.trash.list()).length > 0; tries++)
    await new Promise((resolve) => setTimeout(resolve, 50));
  assert.deepEqual(await engine.trash.list(), []);
  await verifies(daemon);
});
