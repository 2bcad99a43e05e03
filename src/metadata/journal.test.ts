import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Digest, mediaTypes } from '#oci';
import { addLayer, makeImage, metadataFixture } from './testsuite.ts';
import type { Keeping, Metadata } from './types.ts';

const always = { keeps: () => true };

/** Everything an undo has to bring back. */
function stateOf({ images, containers, volumes, buildCache, blobs }: Metadata) {
  return {
    images: images.list(),
    containers: containers.list(),
    volumes: volumes.list(),
    cache: buildCache.list(),
    blobs: blobs.list(),
  };
}

async function stocked() {
  const fixture = await metadataFixture(undefined, always);
  const { metadata, content } = fixture;
  const layers = [await addLayer(fixture), await addLayer(fixture)];
  const made = await metadata.lease();
  await made.add(...layers);
  const image = await makeImage(content, layers);
  await made.add(...image.references);
  await metadata.images.put(image, ['r/a:1', 'r/b:1'], [`r/a@${image.target.digest}`]);
  await made[Symbol.asyncDispose]();
  return { fixture, metadata, image, layers };
}

const keep = (metadata: Metadata, action = 'rmi') => metadata.journal.keeping(action, 'x')!;

test('a removed image is kept whole from the collector, comes back to its place, and goes when it is dropped', async () => {
  const { fixture, metadata, image } = await stocked();
  await using _held = fixture;
  const other = await makeImage(fixture.content, []);
  await metadata.images.put(other, ['r/c:1']);
  const before = stateOf(metadata);
  const keeping = keep(metadata);
  await metadata.images.untag(image.id, ['r/a:1'], keeping);
  await metadata.images.remove(image.id, undefined, keeping);
  assert.deepEqual((await metadata.collect()).blobs, []);
  assert.deepEqual(
    metadata.journal.blobs().map(({ digest }) => digest),
    [...image.references].sort(),
  );
  await fixture.reopen();
  const restored = await fixture.metadata.journal.restore(keeping.number);
  assert.deepEqual(restored.images, [image.id]);
  assert.deepEqual(stateOf(fixture.metadata), before);
  assert.equal(fixture.metadata.images.byTarget(image.target.digest)?.id, image.id);
  assert.ok(fixture.metadata.journal.isEmpty);

  const again = keep(fixture.metadata);
  assert.ok(again.number > keeping.number);
  await fixture.metadata.images.remove(image.id, undefined, again);
  await fixture.metadata.journal.drop([again.number]);
  assert.equal((await fixture.metadata.collect()).blobs.length, image.references.length);
  assert.deepEqual(await Array.fromAsync(fixture.metadata.verify()), []);
});

test('an image that came back by itself keeps what it has; only its names are brought back', async () => {
  const { fixture, metadata, image } = await stocked();
  await using _held = fixture;
  const keeping = keep(metadata);
  await metadata.images.remove(image.id, undefined, keeping);
  await metadata.images.put(image, ['r/new:1']);
  const restored = await metadata.journal.restore(keeping.number);
  assert.deepEqual(restored.images, []);
  assert.deepEqual(metadata.images.get(image.id)?.names, ['r/a:1', 'r/b:1', 'r/new:1']);
});

test('what stands on something that was removed later says what to undo first', async () => {
  const { fixture, metadata, image } = await stocked();
  await using _held = fixture;
  const other = await makeImage(fixture.content, []);
  await metadata.images.put(other);
  const moved = keep(metadata, 'tag');
  await metadata.images.tag(other.id, 'r/a:1', moved);
  const removed = keep(metadata);
  await metadata.images.remove(image.id, undefined, removed);
  const number = removed.number;
  await assert.rejects(metadata.journal.restore(moved.number), new RegExp(`undo ${number} first`));
  await metadata.journal.restore(number);
  await metadata.journal.restore(moved.number);
  assert.equal(metadata.images.byName('r/a:1')?.id, image.id);
});

test('containers, volumes and records of the build cache come back with what they stand on', async () => {
  const { fixture, metadata, image, layers } = await stocked();
  await using _held = fixture;
  const document = { id: 'c1', name: 'web', body: { x: 1 }, chain: layers, imageID: image.id };
  await metadata.containers.put(document);
  await metadata.volumes.put({ id: 'v', name: 'v', body: {} });
  const record = { key: 'k', result: { diffIDs: layers }, description: '', components: 1, sizeBytes: 1, createdMs: 1 };
  await metadata.buildCache.put({ ...record, lastUsedMs: 2, usageCount: 3 });
  const before = stateOf(metadata);
  const first = keep(metadata, 'rm');
  await metadata.journal.retire({ containers: ['c1'], volumes: ['v'] }, first);
  const second = keep(metadata, 'builder prune');
  await metadata.buildCache.remove(['k'], second);
  const third = keep(metadata);
  await metadata.images.remove(image.id, undefined, third);
  await metadata.collect();
  assert.deepEqual([...metadata.journal.containers()], ['c1']);
  assert.deepEqual(metadata.journal.volumes(), [{ number: first.number, name: 'v' }]);
  // An image that is gone is no reason to keep a container away: `rmi -f` leaves it so too.
  await metadata.journal.restore(first.number);
  await metadata.journal.restore(second.number);
  await metadata.journal.restore(third.number);
  assert.deepEqual(stateOf(metadata), before);

  await metadata.journal.retire({ containers: ['c1'] }, keep(metadata, 'rm'));
  await metadata.containers.put({ ...document, id: 'c2' });
  await assert.rejects(metadata.journal.restore(4), /the container name "web" is in use by c2/);
  assert.equal(metadata.journal.list().length, 1);
});

test('nothing is written down where nothing is kept', async () => {
  await using fixture = await metadataFixture();
  assert.equal(fixture.metadata.journal.keeping('rmi', 'x'), undefined);
  const image = await makeImage(fixture.content, []);
  await fixture.metadata.images.put(image);
  await fixture.metadata.images.remove(image.id as Digest);
  assert.equal((await fixture.metadata.collect()).blobs.length, 2);
  assert.ok(fixture.metadata.journal.isEmpty);
});

test('names of two indexes over one image keep their own, and come back with it', async () => {
  const { fixture, metadata, image } = await stocked();
  await using _held = fixture;
  const index = async (text: string) => {
    const { digest, sizeBytes } = await fixture.content.put(Buffer.from(text));
    return { mediaType: mediaTypes.ociIndex, digest, size: sizeBytes };
  };
  const [old, young] = [await index('{"old":1}'), await index('{"young":1}')];
  await using lease = await metadata.lease();
  await lease.add(old.digest, young.digest);
  const by = (target: typeof old) => ({ ...image, target, references: [...image.references, target.digest] });
  await metadata.images.put(by(old), ['r/i:1'], [`r/i@${old.digest}`]);
  await metadata.images.put(by(young), ['r/i:2'], [`r/i@${young.digest}`]);
  const targets = () => {
    const { nameTargets, target } = metadata.images.get(image.id)!;
    return ['r/i:1', 'r/i:2'].map((name) => (nameTargets[name] ?? target).digest);
  };
  assert.deepEqual(targets(), [old.digest, young.digest]);
  assert.deepEqual(
    metadata.images.members(old.digest).map(({ id }) => id),
    [image.id],
  );
  for (const gone of [
    (keeping: Keeping) => metadata.images.untag(image.id, ['r/i:1'], keeping),
    (keeping: Keeping) => metadata.images.remove(image.id, undefined, keeping),
  ]) {
    const before = stateOf(metadata);
    const keeping = keep(metadata);
    await gone(keeping);
    await metadata.collect();
    await metadata.journal.restore(keeping.number);
    assert.deepEqual(stateOf(metadata), before);
    assert.deepEqual(targets(), [old.digest, young.digest]);
  }
  const other = await makeImage(fixture.content, []);
  await metadata.images.put(other, ['r/c:1']);
  const keeping = keep(metadata, 'tag');
  await metadata.images.tag(other.id, 'r/i:1', keeping);
  await metadata.journal.restore(keeping.number);
  assert.deepEqual(targets(), [old.digest, young.digest]);
});
