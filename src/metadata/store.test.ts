import assert from 'node:assert/strict';
import { readFile, rename, truncate, unlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { EngineError, isKind } from '#errdefs';
import type { ChainID, DiffID } from '#oci';
import { chainID } from '#oci';
import { migrations } from './migrations.ts';
import { openMetadata } from './store.ts';
import { addLayer, collectLines, makeImage, metadataFixture } from './testsuite.ts';

test('a database of a newer program is refused, and so is what is not a database', async () => {
  await using fixture = await metadataFixture();
  const path = join(fixture.root, 'wherry.db');
  await fixture.metadata[Symbol.asyncDispose]();
  const database = new DatabaseSync(path);
  database.exec(`PRAGMA user_version = ${migrations.length + 1}`);
  database.close();
  await assert.rejects(
    openMetadata({ root: fixture.root, content: fixture.content }),
    (error: Error) => isKind(error, 'failed-precondition') && /newer/.test(error.message),
  );
  await rename(path, `${path}.away`);
  await writeFile(path, 'this is not a database file, whatever its name says');
  await assert.rejects(openMetadata({ root: fixture.root, content: fixture.content }), (error) =>
    isKind(error, 'data-loss'),
  );
  await unlink(path);
  fixture.metadata = await openMetadata({ root: fixture.root, content: fixture.content });
});

test('a write that comes while the store closes is refused', async () => {
  await using fixture = await metadataFixture();
  const closing = fixture.metadata[Symbol.asyncDispose]();
  await assert.rejects(fixture.metadata.buildCache.remove(['k']), /the database is closed/);
  await closing;
  fixture.metadata = await openMetadata({ root: fixture.root, content: fixture.content });
});

test('collect takes what nothing reaches, tells the driver, and keeps the rest', async () => {
  const forgotten: [DiffID, readonly ChainID[]][] = [];
  await using fixture = await metadataFixture({
    removeLayer: async (diffID, chains) => {
      forgotten.push([diffID, chains]);
    },
    async *verify() {},
  });
  const { metadata, content } = fixture;
  const [shared, own, contained, cached] = await Promise.all([1, 2, 3, 4].map(() => addLayer(fixture, 1000)));
  const kept = await makeImage(content, [shared!]);
  const gone = await makeImage(content, [shared!, own!]);
  // Whatever order the layers came in, the images hold theirs again before anything is collected.
  await metadata.images.put(kept, ['docker.io/library/kept:1']);
  await metadata.images.put(gone);
  await metadata.containers.put({ id: 'c', name: 'c', body: {}, chain: [contained!] });
  await metadata.buildCache.put({
    key: 'k',
    result: { diffIDs: [cached!] },
    description: '',
    components: [],
    sizeBytes: 0,
    createdMs: 0,
    lastUsedMs: 0,
    usageCount: 0,
  });
  assert.deepEqual((await metadata.collect()).blobs, []);
  await metadata.images.remove(gone.id);
  const result = await metadata.collect();
  assert.deepEqual(result.layers, [own]);
  assert.deepEqual([...result.blobs].sort(), [own, gone.id, gone.manifest.digest].sort());
  assert.ok(result.freedBytes > 1000);
  assert.deepEqual(forgotten, [[own, [chainID([shared!, own!])]]]);
  assert.equal(await content.stat(own!), undefined);
  for (const digest of [shared!, contained!, cached!, kept.id]) assert.ok(await content.stat(digest));
  assert.deepEqual(await collectLines(metadata.verify()), []);

  await metadata.containers.remove('c');
  await metadata.buildCache.remove(['k']);
  assert.deepEqual([...(await metadata.collect()).layers].sort(), [contained, cached].sort());
});

test('a layer that goes takes the chains above it along, whose last layers live on elsewhere', async () => {
  const forgotten: [DiffID, readonly ChainID[]][] = [];
  await using fixture = await metadataFixture({
    removeLayer: async (diffID, chains) => {
      forgotten.push([diffID, [...chains].sort()]);
    },
    async *verify() {},
  });
  const { metadata, content } = fixture;
  const [base, own, common] = await Promise.all([1, 2, 3].map(() => addLayer(fixture, 1000)));
  await metadata.images.put(await makeImage(content, [base!, common!]), ['docker.io/library/kept:1']);
  const gone = await makeImage(content, [base!, own!, common!]);
  await metadata.images.put(gone);
  await metadata.images.remove(gone.id);
  assert.deepEqual((await metadata.collect()).layers, [own]);
  assert.deepEqual(forgotten, [[own, [chainID([base!, own!]), chainID([base!, own!, common!])].sort()]]);
});

test('files that somebody had hold of go with the next collection, unless they are wanted again', async () => {
  let isBusy = true;
  await using fixture = await metadataFixture({
    removeLayer: async () => {
      if (isBusy) throw new EngineError('conflict', 'a snapshot uses it');
    },
    async *verify() {},
  });
  const { metadata, content } = fixture;
  const [gone, back] = await Promise.all([1, 2].map(() => addLayer(fixture, 1000)));
  await metadata.collect();
  assert.ok((await content.stat(gone!)) && (await content.stat(back!)));
  {
    await using lease = await metadata.lease();
    await lease.add(back!);
    await metadata.layers.put({ diffID: back!, sizeBytes: 1000, createdMs: 0 });
    await metadata.containers.put({ id: 'c', name: 'c', body: {}, chain: [back!] });
  }
  isBusy = false;
  await metadata.collect();
  assert.equal(await content.stat(gone!), undefined);
  assert.ok(await content.stat(back!));
  assert.deepEqual(await collectLines(metadata.verify()), []);
});

test('a crash ends the leases that promised no time; the others keep their digests', async () => {
  await using fixture = await metadataFixture();
  const { metadata } = fixture;
  const [short, long, past] = [
    await metadata.lease(),
    await metadata.lease({ ttlMs: 60_000 }),
    await metadata.lease({ ttlMs: -1 }),
  ];
  const blobs = await Promise.all(
    [short, long, past].map(async (lease, index) => {
      const blob = await fixture.content.put(Buffer.from(`blob ${index}`));
      await lease.add(blob.digest);
      await metadata.blobs.put(blob.digest, blob.sizeBytes);
      return blob.digest;
    }),
  );
  const unrecorded = await fixture.content.put(Buffer.from('a file whose row never came'));
  const resumable = await fixture.content.put(Buffer.from('a leased file whose row never came'));
  await long.add(resumable.digest);
  // While they are held, nothing is taken, not even past its time.
  assert.deepEqual((await metadata.collect()).blobs, []);
  await fixture.reopen();
  const result = await fixture.metadata.recover();
  assert.deepEqual(result.files, [unrecorded.digest]);
  assert.deepEqual(await Promise.all(blobs.map(async (digest) => (await fixture.content.stat(digest)) !== undefined)), [
    false,
    true,
    false,
  ]);
  assert.ok(await fixture.content.stat(resumable.digest));
});

test('recover removes downloads that no lease will resume', async () => {
  await using fixture = await metadataFixture();
  const download = async (key: string) => {
    await using writer = await fixture.content.writer({ key });
    await writer.write(Buffer.from('half'));
  };
  await download('a');
  assert.equal((await fixture.metadata.recover()).ingests, 1);
  await fixture.metadata.lease({ ttlMs: 60_000 });
  await download('fresh');
  await download('old');
  const [first] = await fixture.content.ingests();
  const daysAgo = new Date(Date.now() - 3 * 24 * 3_600_000);
  await utimes(join(fixture.root, 'content/ingest', first!.name), daysAgo, daysAgo);
  await fixture.reopen();
  assert.equal((await fixture.metadata.recover()).ingests, 1);
  assert.equal((await fixture.content.ingests()).length, 1);
});

test('a lease disposed gives its digests up', async () => {
  await using fixture = await metadataFixture();
  const lease = await fixture.metadata.lease();
  const blob = await fixture.content.put(Buffer.from('x'));
  await lease.add(blob.digest);
  await fixture.metadata.blobs.put(blob.digest, 1);
  assert.deepEqual((await fixture.metadata.collect()).blobs, []);
  await lease[Symbol.asyncDispose]();
  await assert.rejects(lease.add(blob.digest), (error) => isKind(error, 'failed-precondition'));
  assert.deepEqual((await fixture.metadata.collect()).blobs, [blob.digest]);
});

test('what was stored under a lease is left to it until it ends, then collected', async () => {
  await using fixture = await metadataFixture();
  const { metadata, content } = fixture;
  const garbage = await addLayer(fixture);
  const bytes = await readFile(content.path(garbage));
  const lease = await metadata.lease();
  await content.put(bytes);
  assert.deepEqual((await metadata.collect()).blobs, []);
  await lease.add(garbage);
  await metadata.layers.put({ diffID: garbage, sizeBytes: bytes.length, createdMs: 0 });
  assert.deepEqual((await metadata.collect()).blobs, []);
  const other = await metadata.lease();
  await content.put(bytes);
  await lease[Symbol.asyncDispose]();
  assert.deepEqual((await metadata.collect()).blobs, []);
  await other[Symbol.asyncDispose]();
  while (await content.stat(garbage)) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.equal(metadata.layers.get(garbage), undefined);
});

test('files that never got their row go with the lease that named them', async () => {
  await using fixture = await metadataFixture();
  const { metadata, content } = fixture;
  const [kept, dropped] = [await content.put(Buffer.from('kept')), await content.put(Buffer.from('dropped'))];
  const other = await metadata.lease();
  {
    await using lease = await metadata.lease();
    await lease.add(kept.digest, dropped.digest);
    await other.add(kept.digest);
  }
  assert.ok(await content.stat(kept.digest));
  assert.equal(await content.stat(dropped.digest), undefined);
  await other[Symbol.asyncDispose]();
  assert.deepEqual(await collectLines(metadata.verify()), []);
});

test('leases and collections race without losing a leased blob', async () => {
  await using fixture = await metadataFixture();
  const { metadata, content } = fixture;
  const rounds = Array.from({ length: 30 }, async (_, index) => {
    const bytes = Buffer.from(`contended ${index % 5}`);
    await using lease = await metadata.lease();
    const { digest } = await content.put(bytes);
    await lease.add(digest);
    // The order an ingest has: bytes first, lease as soon as the digest is known.
    await metadata.blobs.put(digest, bytes.length);
    void metadata.collect();
    await metadata.collect();
    assert.ok(metadata.blobs.has(digest) && (await content.stat(digest)), `round ${index}`);
  });
  await Promise.all(rounds);
  await metadata.collect();
  assert.deepEqual(metadata.blobs.list(), []);
  assert.deepEqual(await collectLines(metadata.verify()), []);
});

test('verify names every kind of fault, and only faults', async () => {
  await using fixture = await metadataFixture({
    removeLayer: async () => {},
    async *verify(layers) {
      yield `driver saw ${layers.length} layers`;
    },
  });
  const { metadata, content, root } = fixture;
  const layers = [await addLayer(fixture), await addLayer(fixture), await addLayer(fixture)] as const;
  const image = await makeImage(content, layers);
  await metadata.images.put(image);
  assert.deepEqual(await collectLines(metadata.verify()), ['driver saw 3 layers']);

  await unlink(content.path(layers[0]));
  await truncate(content.path(layers[1]), 7);
  await writeFile(content.path(layers[2]), Buffer.alloc(100));
  const orphan = await content.put(Buffer.from('orphan'));
  await writeFile(join(root, 'content/blobs/sha256/junk'), '');
  await using writer = await content.writer({ key: 'left' });
  await writer.write(Buffer.from('half'));
  const lines = await collectLines(metadata.verify());
  const wanted = [
    `blob ${layers[0]}: its file is missing`,
    `blob ${layers[1]}: size 7, want 100`,
    `blob ${layers[2]}: its bytes have digest`,
    `blob ${orphan.digest}: no record names this file`,
    'content/blobs/sha256/junk: not a file of the store',
    'left by an earlier run',
    'driver saw 3 layers',
  ];
  for (const part of wanted)
    assert.ok(
      lines.some((line) => line.includes(part)),
      `${part} in ${lines.join('\n')}`,
    );
  assert.equal(lines.length, wanted.length, lines.join('\n'));
  await writer.abort();
});

test('verify stops when told', async () => {
  await using fixture = await metadataFixture();
  await addLayer(fixture);
  await assert.rejects(collectLines(fixture.metadata.verify({ signal: AbortSignal.abort() })), (error) =>
    isKind(error, 'canceled'),
  );
});

test('a list of ten thousand images is quick once it is warm', async () => {
  await using fixture = await metadataFixture();
  const { metadata, content } = fixture;
  const image = await makeImage(content, []);
  await metadata.images.put(image, ['docker.io/library/base:1']);
  await metadata[Symbol.asyncDispose]();
  const database = new DatabaseSync(join(fixture.root, 'wherry.db'));
  database.exec(`
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9999)
    INSERT INTO images (id, body, stored_ms) SELECT printf('sha256:%064x', i), (SELECT body FROM images LIMIT 1), i FROM n;
    INSERT INTO names (name, image_id) SELECT 'docker.io/library/n:' || number, id FROM images WHERE number > 1;`);
  database.close();
  fixture.metadata = await openMetadata({ root: fixture.root, content });
  const { images } = fixture.metadata;
  assert.equal(images.list().length, 10_000);
  await images.tag(image.id, 'docker.io/library/again:1');
  const start = performance.now();
  for (let round = 0; round < 50; round++) assert.equal(images.list().length, 10_000);
  const elapsedMs = performance.now() - start;
  assert.ok(elapsedMs < 250, `50 lists took ${elapsedMs.toFixed(1)} ms`);
  assert.equal(images.byName('docker.io/library/again:1')?.id, image.id);
});

test('verify names rows that a flipped byte has damaged', async () => {
  await using fixture = await metadataFixture();
  const { metadata, content, root } = fixture;
  const layers = [await addLayer(fixture), await addLayer(fixture)] as const;
  const rootfs = { type: 'layers', diff_ids: layers };
  const config = await content.put(Buffer.from(JSON.stringify({ rootfs })));
  const image = await makeImage(content, layers);
  await metadata.images.put({ ...image, id: config.digest, references: [...image.references, config.digest] });
  assert.deepEqual(await collectLines(metadata.verify()), []);
  const database = new DatabaseSync(join(root, 'wherry.db'));
  database.prepare('UPDATE images SET body = replace(body, ?, ?)').run(layers[0], layers[1]);
  await fixture.reopen();
  assert.deepEqual(await collectLines(fixture.metadata.verify()), [
    `database: the row of image ${config.digest} names other layers than its config`,
  ]);
  database.prepare('UPDATE images SET body = replace(body, ?, ?)').run('{', '[');
  assert.deepEqual(await collectLines(fixture.metadata.verify()), [
    `database: the row of image ${config.digest} is damaged`,
  ]);
  database.close();
});
