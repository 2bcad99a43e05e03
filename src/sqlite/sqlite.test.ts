import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryFolder } from '#testing';
import { Connection, integer, text, WriteThread } from './index.ts';

const entry = new URL('./testdata/notes.worker.ts', import.meta.url);

test('requests are transactions of their own: one that fails takes back only itself', async () => {
  await using folder = await temporaryFolder('wherry-sqlite-');
  const path = join(folder.path, 'notes.db');
  await using thread = await WriteThread.open(entry, path);
  const outcomes = await Promise.allSettled([
    thread.run({ text: 'first' }),
    thread.run({ text: 'second', fail: 'failed-precondition' }),
    thread.run({ text: 'first' }),
    thread.run({ text: 'third' }),
  ]);
  assert.deepEqual(
    outcomes.map((outcome) => (outcome.status === 'fulfilled' ? outcome.value : outcome.reason.kind)),
    [1, 'failed-precondition', 'already-exists', 1],
  );
  const reader = new Connection(path, { readOnly: true });
  assert.deepEqual(
    reader.all('SELECT text FROM notes ORDER BY text').map((row) => text(row, 'text')),
    ['first', 'third'],
  );
  reader.close();
});

test('a database of a newer program is not opened', async () => {
  await using folder = await temporaryFolder('wherry-sqlite-');
  const path = join(folder.path, 'notes.db');
  const database = new Connection(path);
  database.exec('PRAGMA user_version = 7');
  database.close();
  await assert.rejects(WriteThread.open(entry, path), { kind: 'failed-precondition', message: /version 7.*up to 2/ });
});

test('migrations run once each', async () => {
  await using folder = await temporaryFolder('wherry-sqlite-');
  const path = join(folder.path, 'notes.db');
  for (const note of ['one', 'two']) {
    await using thread = await WriteThread.open(entry, path);
    await thread.run({ text: note });
  }
  const reader = new Connection(path, { readOnly: true });
  assert.equal(integer(reader.get('SELECT count(*) AS count FROM notes')!, 'count'), 2);
  assert.equal(integer(reader.get('PRAGMA user_version')!, 'user_version'), 2);
  reader.close();
});

test('nothing is written after the end', async () => {
  await using folder = await temporaryFolder('wherry-sqlite-');
  const thread = await WriteThread.open(entry, join(folder.path, 'notes.db'));
  const last = thread.run({ text: 'last' });
  await thread[Symbol.asyncDispose]();
  assert.equal(await last, 1);
  await assert.rejects(thread.run({ text: 'late' }), /the database is closed/);
});

test('a worker that cannot open its database says why', async () => {
  await using folder = await temporaryFolder('wherry-sqlite-');
  await assert.rejects(WriteThread.open(entry, join(folder.path, 'absent', 'notes.db')), /ENOENT/);
});
