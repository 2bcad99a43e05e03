import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { setSink } from '#log';
import { temporaryFolder } from '#testing';
import { SnapshotRecords, snapshotID } from './records.ts';

test('an ID is one safe file name and no two keys share one', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (a, b) => {
      assert.match(snapshotID(a), /^[A-Za-z0-9_=-][A-Za-z0-9_.-]{0,127}$/);
      if (a !== b) assert.notEqual(snapshotID(a), snapshotID(b));
    }),
  );
  assert.equal(snapshotID('0123abc_-.X'), '0123abc_-.X');
  assert.match(snapshotID('.hidden'), /^=[0-9a-f]{64}$/);
});

test('a record is read back by the next process, and a broken one is left out', async () => {
  await using folder = await temporaryFolder();
  const records = new SnapshotRecords(folder.path);
  await records.load();
  const snapshot = {
    key: 'a/b',
    kind: 'active',
    chain: [],
    ephemeral: true,
    init: 'none-0123',
    sizeLimitBytes: 4096,
  } as const;
  await records.create(snapshot, async (path) => mkdirSync(join(path, 'upper')));
  mkdirSync(join(folder.path, 'broken'));
  writeFileSync(join(folder.path, 'broken', 'snapshot.json'), '{"version":1,"key":"other"');

  const previous = setSink(() => {});
  const next = new SnapshotRecords(folder.path);
  await next.load();
  setSink(previous);
  assert.deepEqual(next.list(), [{ ...snapshot, id: snapshotID('a/b') }]);
  assert.deepEqual(await next.leftovers(new Set()), [join(folder.path, 'broken')]);
  assert.deepEqual(await next.leftovers(new Set(['broken'])), []);
});

test('a snapshot that cannot be filled leaves nothing, and a name is given once', async () => {
  await using folder = await temporaryFolder();
  const records = new SnapshotRecords(folder.path);
  await records.load();
  const snapshot = { key: 'k', kind: 'view', chain: [], ephemeral: false } as const;
  await assert.rejects(
    records.create(snapshot, async () => {
      throw new Error('disk full');
    }),
    /disk full/,
  );
  assert.deepEqual(await records.leftovers(new Set()), []);
  const both = await Promise.allSettled([1, 2].map(() => records.create(snapshot, async () => {})));
  assert.deepEqual(both.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
});
