import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { chainIDs, type DiffID, type Digest } from '#oci';
import { Connection, integer, migrate } from '#sqlite';
import { migrations } from './migrations.ts';
import { openMetadata } from './store.ts';
import { addLayer, collectLines, type MetadataFixture, makeImage, metadataFixture } from './testsuite.ts';
import type { NewImage } from './types.ts';

const earlier = 5;

/** Rows as the program before wrote them: one for each layer of each thing. */
class EarlierStore {
  readonly database: Connection;

  constructor(path: string) {
    this.database = new Connection(path);
    this.database.exec('PRAGMA journal_mode = WAL; PRAGMA foreign_keys = ON');
    migrate(this.database, migrations.slice(0, earlier));
  }

  blob(digest: Digest, size: number): void {
    this.database.run('INSERT INTO blobs VALUES (?, ?, 1) ON CONFLICT DO NOTHING', digest, size);
  }

  layer(diffID: DiffID): void {
    this.blob(diffID, 100);
    this.database.run('INSERT INTO layers VALUES (?, 100, 1)', diffID);
  }

  image({ id, target, manifest, diffIDs, labels, references }: NewImage): void {
    const body = JSON.stringify({ target, manifest, diffIDs, sizeBytes: 1, createdMs: 1, labels });
    this.database.run('INSERT INTO images (id, body, stored_ms) VALUES (?, ?, 1)', id, body);
    for (const digest of references) this.database.run('INSERT INTO image_blobs VALUES (?, ?)', id, digest);
    this.database.run('INSERT INTO image_targets VALUES (?, ?, 1)', target.digest, id);
    this.chain(diffIDs);
  }

  chain(diffIDs: readonly DiffID[]): void {
    const chains = chainIDs(diffIDs);
    for (const [index, chain] of chains.entries()) {
      const row = [chain, diffIDs[index]!, chains[index - 1] ?? null];
      this.database.run('INSERT INTO chains VALUES (?, ?, ?) ON CONFLICT DO NOTHING', ...row);
    }
  }

  container(id: string, chain: readonly DiffID[]): void {
    const body = JSON.stringify({ id, name: id, body: {}, chain });
    this.database.run('INSERT INTO containers (id, name, body) VALUES (?, ?, ?)', id, id, body);
    for (const diffID of chain) this.database.run('INSERT INTO container_layers VALUES (?, ?)', id, diffID);
    this.chain(chain);
  }

  /** An image that was removed and can come back. */
  removed({ id, target, manifest, diffIDs, labels, references }: NewImage): void {
    const body = JSON.stringify({ target, manifest, diffIDs, sizeBytes: 1, createdMs: 1, labels });
    const image = { number: 77, id, body, parent: null, stored_ms: 1, last_tagged_ms: null };
    const kept = { image, targets: [], blobs: references, names: ['r/back:1'], repoDigests: [] };
    this.database.run("INSERT INTO journal (number, action, subject, at_ms) VALUES (1, 'rmi', 'x', 1)");
    this.database.run("INSERT INTO journal_changes VALUES (1, 1, 'image', ?, ?)", id, JSON.stringify(kept));
    for (const digest of references) this.database.run('INSERT INTO journal_blobs VALUES (1, ?)', digest);
  }
}

/** A store of the program before, its files in place. */
async function earlierStore(fixture: MetadataFixture) {
  const layers: DiffID[] = [];
  for (let index = 0; index < 5; index++) layers.push(await addLayer(fixture));
  const [base, one, two, alone, gone] = layers as [DiffID, DiffID, DiffID, DiffID, DiffID];
  const { content } = fixture;
  const images = [await makeImage(content, [base, one]), await makeImage(content, [base, one, two, two])] as const;
  const removed = await makeImage(content, [base, gone]);
  const emptied = await makeImage(content, []);
  await fixture.metadata[Symbol.asyncDispose]();
  const path = join(fixture.root, 'earlier.db');
  const store = new EarlierStore(path);
  for (const layer of layers) store.layer(layer);
  for (const image of [...images, removed, emptied])
    for (const digest of image.references) store.blob(digest, (await content.stat(digest))!.sizeBytes);
  for (const image of [...images, emptied]) store.image({ ...image, references: [...new Set(image.references)] });
  store.container('c1', [base, alone]);
  store.removed(removed);
  store.database.close();
  return { path, layers, images, removed, alone, two };
}

async function openEarlier(fixture: MetadataFixture, path: string): Promise<void> {
  for (const end of ['', '-wal', '-shm']) await rm(join(fixture.root, `wherry.db${end}`), { force: true });
  for (const end of ['', '-wal', '-shm'])
    await rename(`${path}${end}`, join(fixture.root, `wherry.db${end}`)).catch(() => {});
  fixture.metadata = await openMetadata({ root: fixture.root, content: fixture.content, keeps: () => true });
}

test('a store whose images named each layer goes on as it was: nothing is lost, nothing is kept for nobody', async () => {
  await using fixture = await metadataFixture();
  const { path, layers, images, removed, alone, two } = await earlierStore(fixture);
  await openEarlier(fixture, path);
  const { metadata } = fixture;
  assert.deepEqual(await collectLines(metadata.verify()), []);
  assert.deepEqual((await metadata.collect()).blobs, []);
  assert.equal(metadata.layers.list().length, layers.length);

  assert.deepEqual((await metadata.journal.restore(1)).images, [removed.id]);
  assert.deepEqual(await collectLines(metadata.verify()), []);
  await metadata.images.remove(removed.id);
  await metadata.images.remove(images[1].id);
  await metadata.containers.remove('c1');
  assert.deepEqual([...(await metadata.collect()).layers].sort(), [layers[4], two, alone].sort());
  await metadata.images.remove(images[0].id);
  await metadata.collect();
  assert.deepEqual(metadata.layers.list(), []);
});

test('an end amid the change of the schema leaves the store as it was, for the next start to change', async () => {
  await using fixture = await metadataFixture();
  const { path, layers } = await earlierStore(fixture);
  const killed = spawnSync(process.execPath, [
    join(import.meta.dirname, 'testdata/killed-migration.ts'),
    path,
    `${earlier}`,
  ]);
  assert.equal(killed.signal, 'SIGKILL');
  const database = new Connection(path);
  assert.equal(integer(database.get('PRAGMA user_version')!, 'user_version'), earlier);
  assert.ok(integer(database.get('SELECT count(*) AS count FROM container_layers')!, 'count') > 0);
  database.close();
  await openEarlier(fixture, path);
  assert.deepEqual(await collectLines(fixture.metadata.verify()), []);
  assert.deepEqual((await fixture.metadata.collect()).blobs, []);
  assert.equal(fixture.metadata.layers.list().length, layers.length);
});
