import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { assembleImage } from '#image';
import { type DiffID, type Digest, digestOf, mediaTypes } from '#oci';
import { formatReference, fullName, type Reference } from '#reference';
import { fromBytes, readAll } from '#streams';
import { loadImages } from './load.ts';
import { pullImage } from './pull.ts';
import { pushImage } from './push.ts';
import { blobPath, configFor, inPieces, oldArchive, randomLayer, tarOf } from './testsuite-load.ts';
import { type Machine, publish, registryFixture } from './testsuite-registry.ts';
import type { TransferStores } from './types.ts';

type Retains = NonNullable<TransferStores['retains']>;
const everything: Retains = () => true;

function pull({ stores, fixture }: Machine, reference: Reference, retains: Retains = everything) {
  return pullImage({ ...stores, retains }, reference, { onProgress: fixture.onProgress });
}

function push({ stores, fixture }: Machine, reference: Reference, retains: Retains = everything) {
  return pushImage({ ...stores, retains }, reference, { onProgress: fixture.onProgress });
}

function load({ stores }: Machine, archive: Buffer) {
  return loadImages({ ...stores, retains: everything }, inPieces(archive));
}

async function sound({ fixture }: Machine): Promise<void> {
  assert.deepEqual(await fixture.verify(), []);
}

async function has({ fixture }: Machine, digest: Digest): Promise<boolean> {
  return fixture.metadata.blobs.has(digest) && (await fixture.content.stat(digest)) !== undefined;
}

const images = ({ fixture }: Machine) => fixture.metadata.images;

test('what was pulled is pushed byte for byte though its registry is gone', async () => {
  await using source = await registryFixture();
  await using target = await registryFixture();
  await using machine = await source.machine();
  const from = source.reference('app:1');
  // One is larger than what is written in a piece.
  const layers = [await randomLayer(), await randomLayer(1_500_000)];
  const { descriptor, configDigest, blobs } = await publish(source.client, from, layers);
  await pull(machine, from);
  for (const blob of blobs) assert.ok(await has(machine, blob));
  for (const [at, blob] of blobs.entries())
    assert.deepEqual(await readAll(machine.fixture.content.open(blob), 1 << 30), gzipSync(layers[at]!));
  source.before = (_, response) => {
    response.writeHead(404).end();
    return true;
  };
  const to = target.reference('copy:1');
  await images(machine).tag(configDigest, formatReference(to));
  assert.equal((await push(machine, to)).target.digest, descriptor.digest);
  await sound(machine);
  await images(machine).remove(configDigest);
  await machine.fixture.metadata.collect();
  assert.deepEqual(await machine.fixture.contents(), []);
});

test('a layer that is here without its compressed form gets it with the next pull', async () => {
  await using registry = await registryFixture();
  await using machine = await registry.machine();
  const reference = registry.reference('app:1');
  const { blobs } = await publish(registry.client, reference, [await randomLayer(1_200_000)]);
  await pull(machine, reference, () => false);
  assert.equal(await has(machine, blobs[0]!), false);
  assert.deepEqual(images(machine).retained(), []);
  await pull(machine, reference);
  assert.ok(await has(machine, blobs[0]!));
  assert.equal(images(machine).retained().length, 1);
  registry.requests.length = 0;
  await pull(machine, reference);
  assert.equal(registry.requests.filter((line) => line.includes(blobs[0]!)).length, 0);
  await sound(machine);
});

test('repositories are asked for by name, and plain layers have no other form', async () => {
  await using registry = await registryFixture();
  await using machine = await registry.machine();
  const [kept, other, plain] = ['kept:1', 'other:1', 'plain:1'].map((name) => registry.reference(name));
  const retains: Retains = (repository) => repository !== fullName(other!);
  const layer = [await randomLayer()];
  const first = await publish(registry.client, kept!, layer);
  const second = await publish(registry.client, other!, [await randomLayer()]);
  await publish(registry.client, plain!, [await randomLayer()], { compress: (bytes) => bytes, family: 'docker' });
  for (const reference of [kept!, other!, plain!]) await pull(machine, reference, retains);
  assert.deepEqual(images(machine).retained(), [{ imageID: first.configDigest, digest: first.blobs[0] }]);
  assert.equal(await has(machine, second.blobs[0]!), false);
  await images(machine).releaseBlobs(first.configDigest, [first.blobs[0]!]);
  await machine.fixture.metadata.collect();
  assert.equal(await has(machine, first.blobs[0]!), false);
  await sound(machine);
});

test('what was compressed for a push is there for the next one, also after cut uploads', async () => {
  await using registry = await registryFixture();
  await using second = await registryFixture();
  await using machine = await registry.machine();
  const bytes = await randomLayer(1_500_000);
  const diffID = digestOf(bytes) as DiffID;
  const [one, two] = [registry.reference('app:1'), second.reference('app:1')];
  {
    await using lease = await machine.stores.metadata.lease();
    await lease.add(diffID);
    await machine.stores.layers.ingest(fromBytes(bytes), { expected: { diffID } });
    await machine.stores.metadata.layers.put({ diffID, sizeBytes: bytes.length, createdMs: 0 });
    const layers = [{ diffID, sizeBytes: bytes.length }];
    const description = await assembleImage(machine.fixture.content, { config: configFor([bytes]), layers });
    await lease.add(...description.references);
    await images(machine).put(description, [one, two].map(formatReference));
  }
  let uploads = 0;
  registry.before = (request) => {
    if (request.method !== 'PATCH' || uploads++ > 0) return false;
    request.once('data', () => request.socket.destroy());
    return true;
  };
  const { target } = await push(machine, one);
  const [retained] = images(machine).retained();
  assert.ok(retained && (await has(machine, retained.digest)));
  await sound(machine);
  // The tar is not read for it any more.
  await rm(machine.fixture.content.path(diffID));
  assert.equal((await push(machine, two)).target.digest, target.digest);
});

test('compressed layers of archives stay too, and a lost one is taken again', async () => {
  await using registry = await registryFixture();
  await using machine = await registry.machine();
  const [packed, flat] = [await randomLayer(), await randomLayer()];
  const blob = gzipSync(packed);
  const digest = digestOf(blob);
  const config = configFor([packed, flat]);
  const describe = (bytes: Buffer, mediaType: string) => ({ mediaType, digest: digestOf(bytes), size: bytes.length });
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      config: describe(config, mediaTypes.ociConfig),
      layers: [describe(blob, mediaTypes.ociLayerGzip), describe(flat, mediaTypes.ociLayer)],
    }),
  );
  const index = JSON.stringify({ schemaVersion: 2, manifests: [describe(manifest, mediaTypes.ociManifest)] });
  const archive = await tarOf(
    ['oci-layout', '{"imageLayoutVersion":"1.0.0"}'],
    ['index.json', index],
    ...[manifest, config, blob, flat].map((bytes) => [blobPath(digestOf(bytes)), bytes] as const),
  );
  await load(machine, archive);
  assert.deepEqual(images(machine).retained(), [{ imageID: digestOf(config), digest }]);
  await sound(machine);
  await rm(machine.fixture.content.path(digest));
  await load(machine, archive);
  assert.ok(await has(machine, digest));
  const gzipped = await oldArchive([blob], ['old:1'], configFor([packed]));
  await load(machine, gzipped);
  assert.equal(images(machine).retained().length, 2, 'the old archive names its layers by folder, and is kept as well');
  await sound(machine);
  for (const { id } of images(machine).list()) await images(machine).remove(id);
  await machine.fixture.metadata.collect();
  assert.deepEqual(await machine.fixture.contents(), []);
});
