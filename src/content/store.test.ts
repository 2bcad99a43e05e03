import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { isKind } from '#errdefs';
import { temporaryFolder } from '#testing';
import { openContentStore } from './index.ts';
import { contentStoreSuite } from './testsuite.ts';

contentStoreSuite('files', async () => {
  const folder = await temporaryFolder();
  return {
    store: await openContentStore({ root: folder.path }),
    reopen: () => openContentStore({ root: folder.path }),
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
});

test('files: a damaged small document is replaced by put', async () => {
  await using folder = await temporaryFolder();
  const store = await openContentStore({ root: folder.path });
  const blob = await store.put(Buffer.from('whole'));
  await writeFile(store.path(blob.digest), 'brokn');
  await store.put(Buffer.from('whole'));
  assert.equal(await readFile(store.path(blob.digest), 'utf8'), 'whole');
});

test('files: strays are named, names outside the store refused', async () => {
  await using folder = await temporaryFolder();
  const store = await openContentStore({ root: folder.path });
  await store.put(Buffer.from('a'));
  await writeFile(join(folder.path, 'blobs/sha256/notes.txt'), '');
  await writeFile(join(folder.path, 'ingest/x'), '');
  assert.deepEqual(await store.strays(), ['blobs/sha256/notes.txt', 'ingest/x']);
  await assert.rejects(store.removeIngest('../blobs'), (error) => isKind(error, 'invalid-argument'));
});

test('files: descriptors stay bounded with hundreds of readers', async () => {
  await using folder = await temporaryFolder();
  const store = await openContentStore({ root: folder.path });
  const blob = await store.put(Buffer.alloc(3 << 20));
  let mostOpen = 0;
  const read = async () => {
    for await (const _chunk of store.open(blob.digest)) {
      mostOpen = Math.max(mostOpen, (await readdir('/proc/self/fd')).length);
      break;
    }
  };
  await Promise.all(Array.from({ length: 700 }, read));
  assert.ok(mostOpen < 600, `${mostOpen} descriptors`);
});

test('files: a removed blob has freed its blocks when the store is closed, and so has what a crash left', async () => {
  await using folder = await temporaryFolder();
  const removed = join(folder.path, 'removed');
  {
    await using store = await openContentStore({ root: folder.path });
    const { digest } = await store.put(Buffer.from('short-lived'));
    await store.delete(digest);
    await store.put(Buffer.from('short-lived'));
    assert.equal((await store.stat(digest))?.sizeBytes, 11);
  }
  assert.deepEqual(await readdir(removed), []);
  await writeFile(join(removed, 'left'), 'by a crash');
  {
    await using store = await openContentStore({ root: folder.path });
    assert.deepEqual(await store.strays(), []);
  }
  assert.deepEqual(await readdir(removed), []);
});
