import assert from 'node:assert/strict';
import { existsSync, linkSync, mkdirSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { isKind } from '#errdefs';
import { temporaryFolder } from '#testing';
import { checkVolumeName } from './names.ts';
import type { VolumeDocument, VolumeTable } from './types.ts';
import { openVolumes } from './volumes.ts';

function memoryTable(): VolumeTable {
  const rows = new Map<string, VolumeDocument>();
  return {
    byName: (name) => rows.get(name),
    list: () => [...rows.values()],
    async put(document) {
      await Promise.resolve();
      rows.set(document.id, structuredClone(document));
    },
    async remove(id) {
      await Promise.resolve();
      rows.delete(id);
    },
  };
}

async function opened() {
  const folder = await temporaryFolder();
  const table = memoryTable();
  const root = join(folder.path, 'volumes');
  return {
    root,
    table,
    volumes: await openVolumes({ root, table }),
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

test('a volume is a row and a folder', async () => {
  await using here = await opened();
  const { volumes, root } = here;
  const volume = await volumes.create({ name: 'data', labels: { a: 'b' } });
  assert.deepEqual(
    { ...volume, createdAt: undefined },
    {
      name: 'data',
      driver: 'local',
      mountpoint: join(root, 'data', '_data'),
      labels: { a: 'b' },
      options: null,
      anonymous: false,
      createdAt: undefined,
    },
  );
  assert.equal(statSync(volume.mountpoint).mode & 0o777, 0o755);
  assert.equal(statSync(root).mode & 0o777, 0o701);
  assert.deepEqual(volumes.find('data'), volume);
  assert.deepEqual(await volumes.create({ name: 'data', labels: { other: 'x' } }), volume);
  await volumes.create({ name: 'alpha' });
  assert.deepEqual(
    volumes.list().map(({ name }) => name),
    ['alpha', 'data'],
  );
  writeFileSync(join(volume.mountpoint, 'f'), 'content');
  await volumes.remove('data');
  assert.equal(volumes.find('data'), undefined);
  assert.deepEqual(readdirSync(root), ['alpha']);
  await assert.rejects(volumes.remove('data'), (error: Error) => {
    assert.ok(isKind(error, 'not-found'));
    assert.equal(error.message, 'get data: no such volume');
    return true;
  });
});

test('without a name a volume is anonymous', async () => {
  await using here = await opened();
  const volume = await here.volumes.create();
  assert.match(volume.name, /^[0-9a-f]{64}$/);
  assert.ok(volume.anonymous);
  assert.deepEqual(volume.labels, { 'com.docker.volume.anonymous': '' });
});

test('at the same moment one name is one volume', async () => {
  await using here = await opened();
  const made = await Promise.all(Array.from({ length: 8 }, () => here.volumes.create({ name: 'one' })));
  for (const volume of made) assert.deepEqual(volume, made[0]);
  assert.equal(here.table.list().length, 1);
});

test("names and drivers are refused in Docker's words and leave nothing", async () => {
  await using here = await opened();
  const refused = async (wish: Parameters<typeof here.volumes.create>[0], kind: string, message: string | RegExp) =>
    assert.rejects(here.volumes.create(wish), (error: Error & { kind?: string }) => {
      assert.equal(error.kind, kind);
      if (typeof message === 'string') assert.equal(error.message, message);
      else assert.match(error.message, message);
      return true;
    });
  await refused(
    { name: 'a' },
    'invalid-argument',
    'create a: volume name is too short, names should be at least two alphanumeric characters',
  );
  await refused(
    { name: 'a/b' },
    'invalid-argument',
    'create a/b: "a/b" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path',
  );
  for (const name of ['..', '.hidden', '_x', '-x', 'aé', 'a\0b', 'a b', 'a\n']) {
    await refused({ name }, 'invalid-argument', /includes invalid characters/);
  }
  await refused({ name: 'x'.repeat(256) }, 'invalid-argument', /file name too long/);
  await refused(
    { name: 'bar', driver: 'foo' },
    'not-found',
    'create bar: error looking up volume plugin foo: plugin "foo" not found',
  );
  await refused({ name: 'bar', options: { foo: '1' } }, 'invalid-argument', 'create bar: invalid option: "foo"');
  await refused(
    { name: 'bar', options: { type: 'tmpfs' } },
    'invalid-argument',
    'create bar: missing required option: "device"',
  );
  await refused({ name: 'bar', options: { size: '1m' } }, 'invalid-argument', /no quota support/);
  assert.deepEqual(readdirSync(here.root), []);
  assert.deepEqual((await here.volumes.create({ name: 'bar', driver: '', options: {} })).options, {});
});

test('a name that passes is one plain path component', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 20 }), (name) => {
      try {
        checkVolumeName(name);
      } catch {
        return;
      }
      assert.equal(join('/root', name), `/root/${name}`);
      assert.ok(!/[/\0]/.test(name) && !name.startsWith('.') && name.length > 1);
    }),
  );
});

test('a damaged row is said to be one', async () => {
  await using here = await opened();
  await here.table.put({ id: 'bad', name: 'bad', body: { createdMs: 1, labels: { a: 1 } } });
  assert.throws(
    () => here.volumes.find('bad'),
    (error) => isKind(error, 'data-loss'),
  );
  await here.table.put({ id: 'bad', name: 'bad', body: null });
  assert.throws(() => here.volumes.find('bad'), /its row is damaged/);
});

test('usage counts the bytes of files once, not those links lead to', async () => {
  await using here = await opened();
  const { mountpoint } = await here.volumes.create({ name: 'used' });
  assert.equal(await here.volumes.usageBytes('used'), 0);
  mkdirSync(join(mountpoint, 'sub'));
  writeFileSync(join(mountpoint, 'a'), 'x'.repeat(1000));
  writeFileSync(join(mountpoint, 'sub', 'b'), 'y'.repeat(24));
  linkSync(join(mountpoint, 'a'), join(mountpoint, 'sub', 'again'));
  symlinkSync('/etc/passwd', join(mountpoint, 'link'));
  assert.equal(await here.volumes.usageBytes('used'), 1024 + '/etc/passwd'.length);
  await assert.rejects(here.volumes.usageBytes('used', { signal: AbortSignal.abort(new Error('enough')) }), /enough/);
});

test('after a crash unfinished creates and removals are finished, data is never taken', async () => {
  await using here = await opened();
  const { root, volumes, table } = here;
  const { mountpoint } = await volumes.create({ name: 'good' });
  writeFileSync(join(mountpoint, 'f'), 'kept');
  mkdirSync(join(root, 'good', '_populate', 'half'), { recursive: true });
  mkdirSync(join(root, 'created', '_data'), { recursive: true });
  mkdirSync(join(root, 'foreign', '_data', 'content'), { recursive: true });
  await table.put({ id: 'going', name: 'going', body: { createdMs: 1 } });
  mkdirSync(join(root, '.removing-going', '_data', 'x'), { recursive: true });
  mkdirSync(join(root, '.removing-gone'));
  const faults = await Array.fromAsync(volumes.verify());
  assert.equal(faults.length, 6, faults.join('\n'));
  await volumes.recover();
  assert.deepEqual(readdirSync(root).sort(), ['foreign', 'good']);
  assert.deepEqual(readdirSync(join(root, 'good')), ['_data']);
  assert.ok(existsSync(join(mountpoint, 'f')));
  assert.deepEqual(
    volumes.list().map(({ name }) => name),
    ['good'],
  );
  assert.deepEqual(await Array.fromAsync(volumes.verify()), ['volume folder foreign belongs to no volume']);
});

test('a volume whose folder somebody removed can still be removed', async () => {
  await using here = await opened();
  await here.volumes.create({ name: 'lost' });
  rmSync(join(here.root, 'lost'), { recursive: true });
  assert.match((await Array.fromAsync(here.volumes.verify())).join(), /volume lost: .* is missing/);
  await here.volumes.remove('lost');
  assert.deepEqual(here.volumes.list(), []);
});
