import assert from 'node:assert/strict';
import { test } from 'node:test';

import { type Descriptor, digestOf, mediaTypes, type Platform } from '#oci';
import { formatReference } from '#reference';
import { fromBytes } from '#streams';
import { loadImages } from './load.ts';
import { pullImage } from './pull.ts';
import { pushImage } from './push.ts';
import { saveImages } from './save.ts';
import { randomLayer, transferFixture } from './testsuite-load.ts';
import { publish, publishIndex, type RegistryFixture, registryFixture } from './testsuite-registry.ts';

const quiet = { onProgress: () => {} };

/** As BuildKit stores statements: a manifest beside the image's, with a layer for each. */
async function attest(registry: RegistryFixture, name: string, about: Descriptor, statements: readonly string[]) {
  const { client } = registry;
  const reference = registry.reference(name);
  const blob = async (text: string, mediaType: string) => {
    const bytes = Buffer.from(text);
    await client.pushBlob(reference, {
      digest: digestOf(bytes),
      sizeBytes: bytes.length,
      open: () => fromBytes(bytes),
    });
    return { mediaType, digest: digestOf(bytes), size: bytes.length };
  };
  const layers = await Promise.all(statements.map((statement) => blob(statement, 'application/vnd.in-toto+json')));
  const rootfs = { type: 'layers', diff_ids: layers.map(({ digest }) => digest) };
  const config = await blob(JSON.stringify({ os: 'unknown', architecture: 'unknown', rootfs }), mediaTypes.ociConfig);
  const mediaType = mediaTypes.ociManifest;
  const manifest = { schemaVersion: 2, mediaType, config, layers };
  const bytes = Buffer.from(JSON.stringify(manifest));
  const digest = await client.putManifest(reference, { mediaType, bytes });
  const annotations = {
    'vnd.docker.reference.type': 'attestation-manifest',
    'vnd.docker.reference.digest': about.digest,
  };
  const platform = { os: 'unknown', architecture: 'unknown' };
  return { descriptor: { mediaType, digest, size: bytes.length, annotations, platform }, layers };
}

const statement = (text: string) => JSON.stringify({ _type: 'https://in-toto.io/Statement/v0.1', text });

test('attestations come with the image they are about, and an index with them is pushed whole', async () => {
  await using registry = await registryFixture();
  await using machine = await registry.machine();
  const scratch = registry.reference('app:scratch');
  const foreign: Platform = { os: 'linux', architecture: 's390x' };
  const own = await publish(registry.client, scratch, [await randomLayer()]);
  const other = await publish(registry.client, scratch, [await randomLayer()], { platform: foreign });
  const about = await attest(registry, 'app:scratch', own.descriptor, [statement('sbom'), statement('provenance')]);
  const aboutOther = await attest(registry, 'app:scratch', other.descriptor, [statement('other')]);
  const reference = registry.reference('app:1');
  const index = await publishIndex(registry.client, reference, [own.descriptor, about.descriptor]);
  await pullImage(machine.stores, reference, quiet);
  const { content, metadata } = machine.stores;
  for (const { digest } of [about.descriptor, ...about.layers]) assert.ok(await content.stat(digest), digest);
  await metadata.collect();
  assert.ok(await content.stat(about.layers[0]!.digest), 'a collection leaves them');

  const copy = registry.reference('copy:1');
  const image = metadata.images.byName(formatReference(reference))!;
  await metadata.images.tag(image.id, formatReference(copy));
  const pushed = await pushImage(machine.stores, copy, quiet);
  assert.equal(pushed.target.digest, index.digest);
  await using second = await registry.machine();
  await pullImage(second.stores, copy, quiet);
  assert.ok(await second.stores.content.stat(about.layers[1]!.digest));

  const both = registry.reference('app:both');
  const entries = [own, other].map(({ descriptor }, at) => ({
    ...descriptor,
    platform: [{ os: 'linux', architecture: process.arch === 'arm64' ? 'arm64' : 'amd64' }, foreign][at]!,
  }));
  await publishIndex(registry.client, both, [...entries, about.descriptor, aboutOther.descriptor]);
  await using third = await registry.machine();
  await pullImage(third.stores, both, quiet);
  assert.equal(await third.stores.content.stat(aboutOther.layers[0]!.digest), undefined, 'of the other platform');
  await pullImage(third.stores, both, { ...quiet, platform: foreign });
  assert.ok(await third.stores.content.stat(aboutOther.layers[0]!.digest));
  const archive = Buffer.concat(await Array.fromAsync(saveImages(third.stores, [formatReference(both)])));
  await using loaded = await transferFixture();
  await loadImages(loaded.stores, fromBytes(archive), quiet);
  assert.ok(await loaded.content.stat(aboutOther.layers[0]!.digest), 'an archive brings them too');
  assert.deepEqual(await loaded.verify(), []);
});

test('an attestation that cannot be had does not keep an image from being pulled', async () => {
  await using registry = await registryFixture();
  await using machine = await registry.machine();
  const scratch = registry.reference('app:scratch');
  const own = await publish(registry.client, scratch, [await randomLayer()]);
  const about = await attest(registry, 'app:scratch', own.descriptor, [statement('sbom')]);
  const reference = registry.reference('app:1');
  await publishIndex(registry.client, reference, [own.descriptor, about.descriptor]);
  registry.before = (request, response) => {
    if (!request.url?.includes(about.layers[0]!.digest)) return false;
    response.writeHead(404).end();
    return true;
  };
  await pullImage(machine.stores, reference, quiet);
  const { content, metadata } = machine.stores;
  assert.ok(metadata.images.byName(formatReference(reference)));
  await metadata.collect();
  assert.equal(await content.stat(about.layers[0]!.digest), undefined);
  assert.deepEqual(await machine.fixture.verify(), []);
});
