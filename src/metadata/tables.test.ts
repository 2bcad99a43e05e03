import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ErrorKind, isKind } from '#errdefs';
import { type DiffID, digestOf, mediaTypes } from '#oci';
import { addLayer, makeImage, metadataFixture } from './testsuite.ts';

const kind = (wanted: ErrorKind) => (error: unknown) => isKind(error, wanted);
const busybox = 'docker.io/library/busybox:latest';

test('an image is found by every handle, and its names move', async () => {
  await using fixture = await metadataFixture();
  const { images } = fixture.metadata;
  const layer = await addLayer(fixture);
  const first = await makeImage(fixture.content, [layer]);
  const second = await makeImage(fixture.content, [layer], { parent: first.id });
  const digested = `docker.io/library/busybox@${first.target.digest}`;
  await images.put(first, [busybox, 'docker.io/library/a:1'], [digested]);
  assert.deepEqual(images.byName(busybox)?.id, first.id);
  assert.deepEqual(images.byTarget(first.target.digest)?.id, first.id);
  assert.deepEqual(images.byRepoDigest(digested)?.id, first.id);
  assert.deepEqual(
    images.byPrefix(first.id.slice(7, 15)).map((image) => image.id),
    [first.id],
  );
  assert.deepEqual(images.byPrefix('zz'), []);
  const record = images.get(first.id)!;
  assert.deepEqual(record.names, ['docker.io/library/a:1', busybox]);
  assert.deepEqual(record.repoDigests, [digested]);
  assert.deepEqual(record.labels, { a: 'b' });
  assert.equal(images.list().length, 1);

  await images.put(second, [busybox]);
  assert.deepEqual(images.childrenOf(first.id), [second.id]);
  assert.deepEqual(images.get(first.id)?.names, ['docker.io/library/a:1']);
  assert.deepEqual(
    images.list().map((image) => image.names.length),
    [1, 1],
  );
  assert.equal(images.list(), images.list());

  assert.equal(await images.tag(first.id, busybox), second.id);
  assert.deepEqual(images.byName(busybox)?.id, first.id);
  await images.untag(first.id, [busybox, digested]);
  assert.equal(images.byName(busybox), undefined);
  assert.deepEqual(images.get(first.id)?.repoDigests, []);
  await assert.rejects(images.tag(digestOf('none'), busybox), kind('not-found'));

  await images.remove(first.id);
  assert.equal(images.get(first.id), undefined);
  assert.equal(images.byName('docker.io/library/a:1'), undefined);
  assert.deepEqual(
    images.list().map((image) => image.id),
    [second.id],
  );
  await fixture.reopen();
  assert.deepEqual(
    fixture.metadata.images.list().map((image) => image.parent),
    [first.id],
  );
});

test('an image is removed only while it is what the caller saw', async () => {
  await using fixture = await metadataFixture();
  const { images, containers } = fixture.metadata;
  const layer = await addLayer(fixture);
  const image = await makeImage(fixture.content, [layer]);
  const seen = { names: [busybox], unused: true };
  const put = (names: readonly string[]) => images.put(image, names);
  const container = { id: 'c1', name: 'c', body: {}, chain: [layer], imageID: image.id };

  await put([busybox]);
  const [, tagged] = await Promise.all([
    images.tag(image.id, 'docker.io/library/new:1'),
    images.remove(image.id, seen),
  ]);
  assert.deepEqual(tagged, { kind: 'kept' });
  assert.deepEqual(images.get(image.id)?.names, [busybox, 'docker.io/library/new:1']);
  await images.untag(image.id, ['docker.io/library/new:1']);

  const child = await makeImage(fixture.content, [layer], { parent: image.id });
  await images.put(child);
  assert.deepEqual(await images.remove(image.id, seen), { kind: 'kept' });
  await images.remove(child.id);

  const [, used] = await Promise.all([containers.put(container), images.remove(image.id, seen)]);
  assert.deepEqual(used, { kind: 'kept', usedBy: 'c1' });
  assert.deepEqual(await images.remove(image.id, { ...seen, unused: false }), { kind: 'removed' });
  assert.equal(images.byName(busybox), undefined);

  await containers.put({ ...container, body: { ended: true } });
  await assert.rejects(containers.put({ ...container, id: 'c2', name: 'd' }), kind('not-found'));
  await put([busybox]);
  await images.untag(image.id, ['docker.io/library/absent:1']);
  const other = await makeImage(fixture.content, []);
  await images.put(other, [busybox]);
  await images.untag(image.id, [busybox]);
  assert.equal(images.byName(busybox)?.id, other.id);
});

test('an image needs its bytes, a layer its lease', async () => {
  await using fixture = await metadataFixture();
  const absent = digestOf('absent');
  const image = await makeImage(fixture.content, []);
  await assert.rejects(
    fixture.metadata.images.put({ ...image, references: [...image.references, absent] }),
    kind('failed-precondition'),
  );
  assert.deepEqual(fixture.metadata.images.list(), []);
  assert.deepEqual(fixture.metadata.blobs.list(), []);
  const { digest, sizeBytes } = await fixture.content.put(Buffer.from('layer'));
  const layer = { diffID: digest as DiffID, sizeBytes, createdMs: 0 };
  await assert.rejects(fixture.metadata.layers.put(layer), kind('failed-precondition'));
  await assert.rejects(fixture.metadata.blobs.put(absent, 3), kind('failed-precondition'));
  await assert.rejects(
    fixture.metadata.containers.put({ id: 'c', name: 'c', body: {}, chain: [layer.diffID] }),
    kind('failed-precondition'),
  );
  assert.deepEqual(fixture.metadata.containers.list(), []);
});

test('a load does not take the target of an image that came from a registry', async () => {
  await using fixture = await metadataFixture();
  const { images } = fixture.metadata;
  const pulled = await makeImage(fixture.content, []);
  const other = await fixture.content.put(Buffer.from('another manifest of the same config'));
  const target = { ...pulled.target, digest: other.digest, size: other.sizeBytes };
  const loaded = { ...pulled, target, manifest: target, references: [pulled.id, other.digest] };
  await images.put(pulled, [busybox], [`docker.io/library/busybox@${pulled.target.digest}`]);
  await images.put(loaded, ['docker.io/library/b:1']);
  assert.equal(images.get(pulled.id)?.target.digest, pulled.target.digest);
  assert.equal(images.byTarget(other.digest)?.id, pulled.id);
  assert.deepEqual(images.get(pulled.id)?.names, ['docker.io/library/b:1', busybox]);
  await images.put(loaded, [], [`example.org/b@${other.digest}`]);
  assert.equal(images.get(pulled.id)?.target.digest, other.digest);
  assert.equal(images.byTarget(pulled.target.digest)?.id, pulled.id);
});

test('origins of a layer are remembered, also after the layer is gone', async () => {
  await using fixture = await metadataFixture();
  const { layers } = fixture.metadata;
  const diffID = await addLayer(fixture);
  const descriptor = { mediaType: mediaTypes.ociLayerGzip, digest: digestOf('gz'), size: 9 };
  await layers.addOrigin({ diffID, descriptor, repository: 'docker.io/library/busybox' });
  await layers.addOrigin({ diffID, descriptor, repository: '' });
  assert.equal(layers.byOrigin(descriptor.digest)?.diffID, diffID);
  assert.deepEqual(
    layers
      .origins(diffID)
      .map((origin) => origin.repository)
      .sort(),
    ['', 'docker.io/library/busybox'],
  );
  assert.deepEqual((await fixture.metadata.collect()).layers, [diffID]);
  assert.equal(layers.byOrigin(descriptor.digest), undefined);
  assert.equal(layers.origins(diffID).length, 2);
});

test('documents have unique names; settings and the build cache survive', async () => {
  await using fixture = await metadataFixture();
  const { containers, volumes, buildCache } = fixture.metadata;
  const chain = [await addLayer(fixture)];
  await containers.put({ id: 'aa1', name: '/web', body: { n: 1 }, chain }, { durable: false });
  await containers.put({ id: 'aa2', name: '/db', body: { n: 2 }, chain: [] });
  await assert.rejects(containers.put({ id: 'bb1', name: '/web', body: {}, chain: [] }), kind('already-exists'));
  assert.equal(containers.list().length, 2);
  await containers.put({ id: 'aa1', name: '/www', body: { n: 3 }, chain });
  assert.deepEqual(containers.byName('/www')?.body, { n: 3 });
  assert.equal(containers.byName('/web'), undefined);
  assert.deepEqual(
    containers.byPrefix('aa').map((found) => found.id),
    ['aa1', 'aa2'],
  );
  assert.deepEqual(
    containers.byPrefix('aa2').map((found) => found.id),
    ['aa2'],
  );
  assert.deepEqual(
    containers.list().map((found) => found.name),
    ['/www', '/db'],
  );
  await containers.remove('aa2');
  await containers.remove('aa2');
  await volumes.put({ id: 'v', name: 'v', body: { Labels: { x: 'ü' } } });
  const step = {
    key: 'k',
    result: { diffIDs: chain },
    description: 'RUN',
    components: ['a'],
    sizeBytes: 1,
    createdMs: 2,
    lastUsedMs: 3,
    usageCount: 0,
  };
  await buildCache.put(step);
  await buildCache.touch('k', 50);
  await fixture.metadata.setSetting('id', '1');
  await fixture.metadata.setSetting('id', '2');
  await fixture.reopen();
  assert.deepEqual(fixture.metadata.containers.list(), [{ id: 'aa1', name: '/www', body: { n: 3 }, chain }]);
  assert.deepEqual(fixture.metadata.volumes.get('v')?.body, { Labels: { x: 'ü' } });
  assert.deepEqual(fixture.metadata.buildCache.get('k'), { ...step, lastUsedMs: 50, usageCount: 1 });
  assert.equal(fixture.metadata.setting('id'), '2');
  await fixture.metadata.buildCache.remove(['k', 'none']);
  assert.deepEqual(fixture.metadata.buildCache.list(), []);
});

test('many writes at once commit together, and each is seen when it resolves', async () => {
  await using fixture = await metadataFixture();
  const { networks } = fixture.metadata;
  networks.list();
  await Promise.all(
    Array.from({ length: 300 }, async (_, index) => {
      const id = `n${index}`;
      await networks.put({ id, name: id, body: index });
      assert.equal(networks.get(id)?.body, index);
      assert.equal(networks.byName(id)?.body, index);
    }),
  );
  assert.equal(networks.list().length, 300);
});
