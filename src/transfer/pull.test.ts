import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { targetOfName } from '#image';
import { digestOf, hostPlatform, mediaTypes } from '#oci';
import { formatReference } from '#reference';
import { pullAllTags } from './pull.ts';
import { pushImage } from './push.ts';
import { configFor, randomLayer } from './testsuite-load.ts';
import {
  publish,
  published,
  publishIndex,
  pull,
  type RegistryFixture,
  registryFixture,
  statuses,
  webServer,
} from './testsuite-registry.ts';

const other = { os: 'linux', architecture: 's390x' };

function blobRequests(registry: RegistryFixture): string[] {
  return registry.requests.filter((line) => /^GET .*\/blobs\//.test(line));
}

test('an image is pulled, with the progress of dockerd', async () => {
  await using registry = await registryFixture();
  await using machine = await registry.machine();
  const layers = [await randomLayer(), await randomLayer(300_000), await randomLayer()];
  const reference = registry.reference('team/app:v1');
  const { descriptor, configDigest, blobs } = await publish(registry.client, reference, layers);
  const pulled = await pull(machine, reference);
  assert.deepEqual(pulled, { id: configDigest, names: [formatReference(reference)] });
  const image = machine.fixture.metadata.images.get(configDigest)!;
  assert.deepEqual(image.target, descriptor);
  assert.deepEqual(
    image.diffIDs,
    layers.map((layer) => digestOf(layer)),
  );
  assert.equal(
    image.sizeBytes,
    layers.reduce((sum, layer) => sum + layer.length, 0),
  );
  assert.deepEqual(image.repoDigests, [`${registry.address}/team/app@${descriptor.digest}`]);
  const said = statuses(machine);
  const ids = blobs.map((digest) => digest.slice(7, 19));
  assert.deepEqual(said.slice(0, 4), ['v1: Pulling from team/app', ...ids.map((id) => `${id}: Pulling fs layer`)]);
  for (const id of ids) {
    const own = said.filter((line) => line.startsWith(id)).map((line) => line.slice(14));
    const once = own.filter((line, index) => line !== own[index - 1] && line !== 'Waiting');
    assert.deepEqual(once, [
      'Pulling fs layer',
      'Downloading',
      'Verifying Checksum',
      'Download complete',
      'Extracting',
      'Pull complete',
    ]);
  }
  const completed = said.filter((line) => line.endsWith('Pull complete'));
  assert.deepEqual(
    completed,
    ids.map((id) => `${id}: Pull complete`),
    'from the bottom up',
  );
  assert.deepEqual(said.slice(-2), [
    `Digest: ${descriptor.digest}`,
    `Status: Downloaded newer image for ${registry.address}/team/app:v1`,
  ]);
  assert.deepEqual(await machine.fixture.verify(), []);
});

test('a second pull asks one question', async () => {
  await using registry = await registryFixture();
  await using machine = await registry.machine();
  const reference = registry.reference('team/app:v1');
  const { descriptor } = await publish(registry.client, reference, [await randomLayer()]);
  await pull(machine, reference);
  machine.fixture.said.length = 0;
  registry.requests.length = 0;
  await pull(machine, reference);
  assert.deepEqual(registry.requests, ['HEAD /v2/team/app/manifests/v1']);
  assert.deepEqual(statuses(machine), [
    'v1: Pulling from team/app',
    `Digest: ${descriptor.digest}`,
    `Status: Image is up to date for ${registry.address}/team/app:v1`,
  ]);
});

test('layers that are here are not fetched, whatever they were compressed with', async () => {
  await using registry = await registryFixture();
  await using machine = await registry.machine();
  const shared = await randomLayer();
  const own = await randomLayer();
  await pull(machine, await published(registry, 'a:1', [shared]));
  registry.requests.length = 0;
  machine.fixture.said.length = 0;
  const reference = registry.reference('b:1');
  const { blobs } = await publish(registry.client, reference, [shared, own], { compress: zstdCompressSync });
  await pull(machine, reference);
  assert.deepEqual(
    blobRequests(registry).filter((line) => line.includes(blobs[0]!)),
    [],
  );
  assert.ok(statuses(machine).includes(`${blobs[0]!.slice(7, 19)}: Already exists`));
  assert.deepEqual(await machine.fixture.verify(), []);
});

test('an image with the same layer twice, and one with none', async () => {
  await using registry = await registryFixture();
  await using machine = await registry.machine();
  const layer = await randomLayer();
  const twice = await pull(machine, await published(registry, 'twice:1', [layer, layer]));
  assert.equal(machine.fixture.metadata.images.get(twice.id)!.sizeBytes, 2 * layer.length);
  const none = await pull(machine, await published(registry, 'none:1', []));
  assert.deepEqual(machine.fixture.metadata.images.get(none.id)!.diffIDs, []);
  assert.deepEqual(await machine.fixture.verify(), []);
});

test('docker schema 2 with plain layers, and OCI with zstd', async () => {
  await using registry = await registryFixture();
  await using machine = await registry.machine();
  const layer = await randomLayer();
  for (const [name, options] of [
    ['docker:1', { family: 'docker' }],
    ['zstd:1', { compress: (bytes: Buffer) => zstdCompressSync(bytes) }],
    ['plain:1', { compress: (bytes: Buffer) => bytes }],
  ] as const) {
    const { id } = await pull(machine, await published(registry, name, [layer, await randomLayer()], options));
    assert.ok(machine.fixture.metadata.images.get(id));
  }
  assert.deepEqual(await machine.fixture.verify(), []);
});

test('an index gives the platform, also from a nested one', async () => {
  await using registry = await registryFixture();
  await using machine = await registry.machine();
  const { client } = registry;
  const reference = registry.reference('multi:1');
  const { domain, path } = reference;
  const bare = { domain, path, tag: 'scratch' };
  const here = await publish(client, bare, [await randomLayer()]);
  const there = await publish(client, bare, [await randomLayer()], { platform: other });
  const attestation = { ...here.descriptor, platform: { os: 'unknown', architecture: 'unknown' } };
  const nested = await publishIndex(client, bare, [{ ...there.descriptor, platform: other }]);
  const index = await publishIndex(client, reference, [
    attestation,
    { ...here.descriptor, platform: hostPlatform() },
    { ...nested, platform: other },
  ]);
  assert.equal((await pull(machine, reference)).id, here.configDigest);
  assert.deepEqual(machine.fixture.metadata.images.get(here.configDigest)!.target, index);
  assert.equal((await pull(machine, reference, { platform: other })).id, there.configDigest);
  assert.match(statuses(machine).at(-1)!, /^Status: Downloaded newer image/);
  const { images } = machine.fixture.metadata;
  assert.deepEqual(images.byName(formatReference(reference))!.id, here.configDigest);
  assert.deepEqual(
    images.members(index.digest).map(({ id, platform }) => [id, platform]),
    [
      [here.configDigest, hostPlatform()],
      [there.configDigest, other],
    ],
  );
  await pull(machine, reference, { platform: other });
  assert.match(statuses(machine).at(-1)!, /^Status: Image is up to date/);
  await assert.rejects(pull(machine, reference, { platform: { os: 'linux', architecture: 'riscv64' } }), {
    kind: 'not-found',
    message: 'no matching manifest for linux/riscv64 in the manifest list entries',
  });
  assert.deepEqual(await machine.fixture.verify(), []);
});

test('the name goes to the platform of this machine, whatever came first, and two tags of one config keep their own indexes', async () => {
  await using registry = await registryFixture();
  await using machine = await registry.machine();
  const { client } = registry;
  const [old, young] = [registry.reference('multi:1'), registry.reference('multi:2')];
  const scratch = registry.reference('multi:scratch');
  const here = await publish(client, scratch, [await randomLayer()]);
  const there = await publish(client, scratch, [await randomLayer()], { platform: other });
  const entries = [
    { ...there.descriptor, platform: other },
    { ...here.descriptor, platform: hostPlatform() },
  ];
  const oldIndex = await publishIndex(client, old, entries);
  const youngIndex = await publishIndex(client, young, entries.toReversed());
  const { images } = machine.fixture.metadata;
  await pull(machine, old, { platform: other });
  assert.equal(images.byName(formatReference(old))!.id, there.configDigest);
  await pull(machine, old);
  assert.equal(images.byName(formatReference(old))!.id, here.configDigest);
  assert.deepEqual(images.get(there.configDigest)!.names, []);
  await pull(machine, young);
  const image = images.get(here.configDigest)!;
  assert.deepEqual(image.names, [formatReference(old), formatReference(young)]);
  assert.deepEqual(targetOfName(image, formatReference(old)), oldIndex);
  assert.deepEqual(targetOfName(image, formatReference(young)), youngIndex);
  assert.deepEqual(
    images.members(youngIndex.digest).map(({ id }) => id),
    [here.configDigest],
  );
  assert.deepEqual(await machine.fixture.verify(), []);
});

test('an image of another system comes when it is asked for, its base layer from where its manifest says', async () => {
  await using registry = await registryFixture();
  await using machine = await registry.machine();
  const { client } = registry;
  const windows = { os: 'windows', architecture: 'amd64', 'os.version': '10.0.20348.2700' };
  const [base, own] = [await randomLayer(), await randomLayer()];
  const blob = gzipSync(base);
  await using elsewhere = await webServer((path) => (path === '/base' ? blob : undefined));
  const foreign = {
    mediaType: mediaTypes.dockerForeignLayer,
    digest: digestOf(blob),
    size: blob.length,
    urls: ['ftp://example.invalid/base', `${elsewhere.url}/gone`, `${elsewhere.url}/base`],
  };
  const scratch = registry.reference('win:scratch');
  const { descriptor, configDigest } = await publish(client, scratch, [base, own], {
    family: 'docker',
    config: configFor([base, own], windows),
    foreign: [foreign],
  });
  const reference = registry.reference('win:1');
  const older = { ...windows, 'os.version': '10.0.17763.6532' };
  const odd = await publish(client, scratch, [own], { config: configFor([own], older) });
  await publishIndex(client, reference, [
    { ...odd.descriptor, platform: older },
    { ...descriptor, platform: windows },
  ]);
  await assert.rejects(pull(machine, reference), /no matching manifest for linux/);
  await assert.rejects(
    pull(machine, { ...reference, tag: 'scratch' }),
    /image operating system "windows" cannot be used/,
  );
  const platform = { os: 'windows', architecture: 'amd64', 'os.version': '10.0.20348' };
  assert.equal((await pull(machine, reference, { platform })).id, configDigest);
  const image = machine.fixture.metadata.images.get(configDigest)!;
  assert.deepEqual(image.platform, windows);
  assert.deepEqual(image.manifest.digest, descriptor.digest);
  assert.deepEqual(await machine.fixture.verify(), []);
  const pushed = await pushImage(machine.stores, reference, { platform, onProgress: machine.fixture.onProgress });
  assert.equal(pushed.target.digest, descriptor.digest);
  assert.ok(statuses(machine).some((line) => line.endsWith(': Skipped foreign layer')));
});

test('a single manifest for another platform is taken with a warning', async () => {
  await using registry = await registryFixture();
  await using machine = await registry.machine();
  const reference = await published(registry, 'app:1', [await randomLayer()]);
  await pull(machine, reference, { platform: other });
  const { os, architecture } = hostPlatform();
  assert.equal(
    statuses(machine).at(-1),
    `WARNING: image with reference ${registry.address}/app:1 was found but its platform (${os}/${architecture}) does not match the specified platform (linux/s390x)`,
  );
});

test('by digest: no tag moves', async () => {
  await using registry = await registryFixture();
  await using machine = await registry.machine();
  const reference = registry.reference('app:1');
  const { descriptor, configDigest } = await publish(registry.client, reference, [await randomLayer()]);
  await pull(machine, { ...reference, digest: descriptor.digest });
  const image = machine.fixture.metadata.images.get(configDigest)!;
  assert.deepEqual(image.names, []);
  assert.equal(statuses(machine)[0], `${registry.address}/app:1@${descriptor.digest}: Pulling from app`);
  await pull(machine, { ...reference, digest: descriptor.digest });
  assert.match(statuses(machine).at(-1)!, /^Status: Image is up to date for /);
});

test('a tag that moved on the registry moves here', async () => {
  await using registry = await registryFixture();
  await using machine = await registry.machine();
  const reference = await published(registry, 'app:1', [await randomLayer()]);
  const first = await pull(machine, reference);
  await publish(registry.client, reference, [await randomLayer()]);
  const second = await pull(machine, reference);
  assert.notEqual(first.id, second.id);
  assert.deepEqual(machine.fixture.metadata.images.get(first.id)!.names, []);
  assert.deepEqual(machine.fixture.metadata.images.get(second.id)!.names, [formatReference(reference)]);
});

test('all tags of a repository', async () => {
  await using registry = await registryFixture();
  await using machine = await registry.machine();
  const layer = await randomLayer();
  for (const tag of ['v1', 'v2']) await published(registry, `team/app:${tag}`, [layer]);
  const { domain, path } = registry.reference('team/app');
  const images = await pullAllTags(machine.stores, { domain, path }, { onProgress: machine.fixture.onProgress });
  assert.equal(images.length, 2);
  const said = statuses(machine);
  assert.ok(said.includes('v1: Pulling from team/app') && said.includes('v2: Pulling from team/app'));
  assert.equal(said.at(-1), `Status: Downloaded newer image for ${registry.address}/team/app`);
  await assert.rejects(
    pullAllTags(machine.stores, { domain, path: 'none' }, { onProgress: machine.fixture.onProgress }),
    { message: `repository ${registry.address}/none not found: name unknown: repository name not known to registry` },
  );
});
