import assert from 'node:assert/strict';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import type { DiffID } from '#oci';
import { addLayer, collectLines, type MetadataFixture, makeImage, metadataFixture } from './testsuite.ts';
import type { Lease } from './types.ts';

const always = { keeps: () => true };

/** Rows of all tables together. */
function rowCount({ root }: MetadataFixture): number {
  const database = new DatabaseSync(join(root, 'wherry.db'), { readOnly: true });
  const tables = database.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").all();
  const counts = tables.map(({ name }) => database.prepare(`SELECT count(*) AS count FROM "${name}"`).get()!['count']);
  database.close();
  return counts.reduce<number>((sum, count) => sum + Number(count), 0);
}

test('an image that adds a layer to another costs as much at 500 layers as at 20', async () => {
  await using fixture = await metadataFixture();
  const { metadata, content } = fixture;
  const chain: DiffID[] = [];
  const costs: number[] = [];
  await using lease = await metadata.lease();
  for (let depth = 1; depth <= 500; depth++) {
    chain.push(await addLayer(fixture, 10, lease));
    const image = await makeImage(content, chain);
    const before = depth % 480 === 20 ? rowCount(fixture) : 0;
    await metadata.images.put(image);
    if (before > 0) costs.push(rowCount(fixture) - before);
  }
  assert.equal(costs.length, 2);
  assert.ok(costs[0]! > 0 && costs[1]! <= 2 * costs[0]!, `rows of a step at 20 and at 500 layers: ${costs.join(', ')}`);
});

/** A little of everything that keeps layers, in an order of chance, and taken away again. */
async function mixUp(fixture: MetadataFixture, random: () => number, layers: readonly DiffID[]): Promise<void> {
  const { metadata, content } = fixture;
  const { images, containers, buildCache, journal } = metadata;
  const pick = <T>(list: readonly T[]): T | undefined => list[Math.floor(random() * list.length)];
  const chain = () => Array.from({ length: Math.floor(random() * 5) }, () => pick(layers)!);
  const keep = () => (random() < 0.5 ? journal.keeping('test', 'x') : undefined);
  const record = (key: string) => ({
    key,
    result: { diffIDs: chain() },
    description: '',
    components: [],
    sizeBytes: 0,
    createdMs: 0,
    lastUsedMs: 0,
    usageCount: 0,
  });
  const acts: (() => Promise<unknown> | undefined)[] = [
    async () => images.put(await makeImage(content, chain())),
    async () => images.put(await makeImage(content, [...(pick(images.list())?.diffIDs ?? []), pick(layers)!])),
    () => {
      const image = pick(images.list());
      return image && images.remove(image.id, undefined, keep());
    },
    () => {
      const id = `c${Math.floor(random() * 5)}`;
      return containers.put({ id, name: id, body: {}, chain: chain(), mountedChains: [chain()] });
    },
    () => {
      const id = pick(containers.list())?.id;
      const kept = keep();
      if (id === undefined) return undefined;
      return kept ? journal.retire({ containers: [id] }, kept) : containers.remove(id);
    },
    () => buildCache.put(record(`k${Math.floor(random() * 5)}`)),
    () => buildCache.remove([`k${Math.floor(random() * 5)}`], keep()),
    () => journal.restore(pick(journal.list())?.number ?? -1).catch(() => undefined),
    () => journal.drop([pick(journal.list())?.number ?? -1]),
  ];
  for (let step = 0; step < 300; step++) await pick(acts)!();
}

/** The layers that anything there is stands on. */
function keptLayers({ metadata }: MetadataFixture, withUndo: boolean): Set<DiffID> {
  const undone = withUndo ? metadata.journal.blobs().map(({ digest }) => digest as string as DiffID) : [];
  return new Set([
    ...metadata.images.list().flatMap(({ diffIDs }) => diffIDs),
    ...metadata.containers.list().flatMap(({ chain, mountedChains = [] }) => [...chain, ...mountedChains.flat()]),
    ...metadata.buildCache.list().flatMap(({ result }) => result.diffIDs),
    ...undone,
  ]);
}

test('whatever comes and goes, the store has the layers that something stands on, and no others', async () => {
  for (let seed = 1; seed <= 4; seed++) {
    await using fixture = await metadataFixture(undefined, always);
    const { metadata } = fixture;
    const layers: DiffID[] = [];
    {
      await using lease: Lease = await metadata.lease();
      for (let index = 0; index < 6; index++) layers.push(await addLayer(fixture, 10, lease));
      let state = seed * 7919;
      const random = () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
      await mixUp(fixture, random, layers);
      assert.deepEqual(await collectLines(metadata.verify()), [], `seed ${seed}`);
    }
    await metadata.collect();
    assert.deepEqual(await collectLines(metadata.verify()), [], `seed ${seed}`);
    const here = () => new Set(metadata.layers.list().map(({ diffID }) => diffID));
    assert.deepEqual([...here()].sort(), [...keptLayers(fixture, true)].filter((id) => layers.includes(id)).sort());
    const uses = metadata.blobs.uses();
    const used = uses.filter(
      ({ images, containers, isCached }) => images.length > 0 || containers.length > 0 || isCached,
    );
    assert.deepEqual(
      new Set(used.map(({ digest }) => digest as string).filter((id) => layers.includes(id as DiffID))),
      new Set<string>(keptLayers(fixture, false)),
    );
    await metadata.journal.drop(metadata.journal.list().map(({ number }) => number));
    await metadata.collect();
    assert.deepEqual([...here()].sort(), [...keptLayers(fixture, false)].sort());
    assert.deepEqual(await collectLines(metadata.verify()), [], `seed ${seed}`);
  }
});

test('verify names a chain that is counted wrong, and an image that does not keep its layers', async () => {
  await using fixture = await metadataFixture();
  const { metadata, content, root } = fixture;
  const image = await makeImage(content, [await addLayer(fixture)]);
  await metadata.images.put(image);
  const database = new DatabaseSync(join(root, 'wherry.db'));
  database.exec('UPDATE chains SET uses = 0');
  assert.deepEqual(await collectLines(metadata.verify()), [
    `database: chain ${image.diffIDs[0]} is noted to have 0 uses, and has 1`,
  ]);
  // Even so its layers stay: the rows that hold them refuse.
  await assert.rejects(metadata.collect(), /FOREIGN KEY/);
  assert.ok(await content.stat(image.diffIDs[0]!));
  database.exec('DELETE FROM chain_holders');
  assert.ok((await collectLines(metadata.verify())).includes(`database: image ${image.id} does not keep its layers`));
  database.close();
});
