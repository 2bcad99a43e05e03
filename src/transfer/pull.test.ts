import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { isKind } from '#errdefs';
import { targetOfName } from '#image';
import { digestOf, hostPlatform, mediaTypes } from '#oci';
import { formatReference, type Reference } from '#reference';
import { temporaryFolder } from '#testing';
import { pullAllTags, pullImage } from './pull.ts';
import { pushImage } from './push.ts';
import { configFor, randomLayer, transferFixture } from './testsuite-load.ts';
import {
  type Machine,
  publish,
  publishIndex,
  type RegistryFixture,
  registryFixture,
  webServer,
} from './testsuite-registry.ts';

const other = { os: 'linux', architecture: 's390x' };

function pull({ stores, fixture }: Machine, reference: Reference, options: object = {}) {
  return pullImage(stores, reference, { onProgress: fixture.onProgress, ...options });
}

function statuses(machine: Machine): string[] {
  return machine.fixture.said.map(({ id, status }) => (id ? `${id}: ${status}` : `${status}`));
}

function blobRequests(registry: RegistryFixture): string[] {
  return registry.requests.filter((line) => /^GET .*\/blobs\//.test(line));
}

async function leavesNothing({ fixture }: Machine): Promise<void> {
  assert.deepEqual(await fixture.contents(), []);
  assert.deepEqual(await fixture.verify(), []);
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

async function published(registry: RegistryFixture, name: string, layers: readonly Buffer[], options = {}) {
  const reference = registry.reference(name);
  await publish(registry.client, reference, layers, options);
  return reference;
}

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

test('connections that break are resumed where they stopped', async () => {
  await using registry = await registryFixture();
  await using machine = await registry.machine();
  const layer = await randomLayer(900_000);
  const reference = await published(registry, 'app:1', [layer], { compress: (bytes: Buffer) => bytes });
  const ranges: (string | undefined)[] = [];
  registry.before = (request, response) => {
    if (request.method !== 'GET' || !request.url?.includes(digestOf(layer))) return false;
    ranges.push(request.headers.range);
    if (ranges.length > 4) return false;
    const offset = Number(/\d+/.exec(request.headers.range ?? '0')![0]);
    const status = offset > 0 ? 206 : 200;
    response.writeHead(status, {
      'content-length': layer.length - offset,
      'content-range': `bytes ${offset}-${layer.length - 1}/${layer.length}`,
    });
    response.write(layer.subarray(offset, offset + 200_000), () => setTimeout(() => response.socket?.destroy(), 20));
    return true;
  };
  await pull(machine, reference);
  assert.deepEqual(ranges, [undefined, 'bytes=200000-', 'bytes=400000-', 'bytes=600000-', 'bytes=800000-']);
  assert.deepEqual(await machine.fixture.verify(), []);
});

test('a layer that the registry loses on the way leaves nothing, nor do the others', async () => {
  await using registry = await registryFixture();
  await using machine = await registry.machine();
  const [lost, slow] = [await randomLayer(3_000_000), await randomLayer(4_000_000)];
  const reference = await published(registry, 'app:1', [lost, slow], { compress: (bytes: Buffer) => bytes });
  const { promise: slowArrives, resolve } = Promise.withResolvers<void>();
  let asked = 0;
  registry.before = async (request, response) => {
    if (request.method !== 'GET') return false;
    if (request.url?.includes(digestOf(slow))) {
      response.writeHead(200, { 'content-length': slow.length });
      response.write(slow.subarray(0, 2_500_000), () => setTimeout(resolve, 50));
      return true;
    }
    if (!request.url?.includes(digestOf(lost))) return false;
    if (asked++ > 0) {
      const errors = [{ code: 'BLOB_UNKNOWN', message: 'blob unknown to registry' }];
      response.writeHead(404, { 'content-type': 'application/json' }).end(JSON.stringify({ errors }));
      return true;
    }
    await slowArrives;
    response.writeHead(200, { 'content-length': lost.length });
    response.write(lost.subarray(0, 2_000_000), () => setTimeout(() => response.socket?.destroy(), 20));
    return true;
  };
  await assert.rejects(pull(machine, reference), { kind: 'not-found' });
  assert.deepEqual(await machine.fixture.content.ingests(), []);
  assert.deepEqual(await machine.fixture.verify(), []);
});

test('a server that ignores ranges is read past what is known', async () => {
  await using registry = await registryFixture();
  await using machine = await registry.machine();
  const layer = await randomLayer(500_000);
  const reference = await published(registry, 'app:1', [layer], { compress: (bytes: Buffer) => bytes });
  let tries = 0;
  registry.before = (request, response) => {
    if (request.method !== 'GET' || !request.url?.includes(digestOf(layer))) return false;
    delete request.headers.range;
    if (tries++ > 0) return false;
    response.writeHead(200, { 'content-length': layer.length });
    response.write(layer.subarray(0, 123_457), () => setTimeout(() => response.socket?.destroy(), 20));
    return true;
  };
  await pull(machine, reference);
  assert.equal(tries, 2);
  assert.deepEqual(await machine.fixture.verify(), []);
});

test('bytes that are not what the digest says are refused, and nothing stays', async () => {
  await using registry = await registryFixture();
  await using machine = await registry.machine();
  const layers = [await randomLayer(), await randomLayer()];
  const reference = registry.reference('app:1');
  const { blobs } = await publish(registry.client, reference, layers, { compress: (bytes) => bytes });
  registry.before = (request, response) => {
    if (request.method !== 'GET' || !request.url?.includes(blobs[1]!)) return false;
    const wrong = Buffer.from(layers[1]!);
    wrong[wrong.length - 2000]! ^= 1;
    response.writeHead(200, { 'content-length': wrong.length }).end(wrong);
    return true;
  };
  await assert.rejects(pull(machine, reference), (error: Error) => {
    assert.ok(isKind(error, 'data-loss'));
    assert.match(error.message, new RegExp(`^filesystem layer verification failed for digest ${blobs[1]}`));
    return true;
  });
  await leavesNothing(machine);
});

test('layers and configs that do not belong together are refused', async () => {
  await using registry = await registryFixture();
  await using machine = await registry.machine();
  const layers = [await randomLayer()];
  const lying = configFor([await randomLayer()]);
  await assert.rejects(pull(machine, await published(registry, 'lie:1', layers, { config: lying })), {
    kind: 'data-loss',
  });
  const short = configFor([...layers, ...layers]);
  await assert.rejects(pull(machine, await published(registry, 'short:1', layers, { config: short })), {
    kind: 'invalid-argument',
    message: 'invalid manifest, layers length mismatch: expected 1, got 2',
  });
  const windows = configFor(layers, { os: 'windows', architecture: 'amd64' });
  await assert.rejects(pull(machine, await published(registry, 'win:1', layers, { config: windows })), {
    message: 'image operating system "windows" cannot be used on this platform: operating system is not supported',
  });
  await assert.rejects(pull(machine, await published(registry, 'junk:1', layers, { config: Buffer.from('{') })), {
    kind: 'invalid-argument',
  });
  await leavesNothing(machine);
});

test('what is no image is refused', async () => {
  await using registry = await registryFixture();
  await using machine = await registry.machine();
  const reference = registry.reference('chart:1');
  const config = Buffer.from('{}');
  await publish(registry.client, reference, [], { config });
  const bytes = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      config: { mediaType: 'application/vnd.cncf.helm.config.v1+json', digest: digestOf(config), size: config.length },
      layers: [],
    }),
  );
  await registry.client.putManifest(reference, { mediaType: mediaTypes.ociManifest, bytes });
  await assert.rejects(pull(machine, reference), {
    message: 'unsupported media type application/vnd.cncf.helm.config.v1+json',
  });
  const scratch = { domain: 'docker.io', path: 'library/scratch', tag: 'x' };
  await assert.rejects(pull(machine, scratch), { kind: 'permission-denied', message: "'scratch' is a reserved name" });
  await assert.rejects(pull(machine, registry.reference('chart:none')), {
    kind: 'not-found',
    message: `manifest for ${registry.address}/chart:none not found: manifest unknown: manifest unknown`,
  });
  await leavesNothing(machine);
});

const asIs = { compress: (bytes: Buffer) => bytes };
const partBytes = 3 << 20;

/** Sends a part of a layer, then nothing more. Calls back once that has been taken and so many other layers are here. */
function stopAfter(
  registry: RegistryFixture,
  { fixture }: Pick<Machine, 'fixture'>,
  layer: Buffer,
  layersHere: number,
  then: () => void,
): void {
  const isTaken = async () =>
    (await fixture.content.ingests()).some(({ sizeBytes }) => sizeBytes >= partBytes / 2 && sizeBytes <= partBytes) &&
    fixture.metadata.layers.list().length >= layersHere;
  const look = async () => {
    if (await isTaken()) then();
    else setTimeout(look, 50);
  };
  registry.before = (request, response) => {
    if (request.method !== 'GET' || !request.url?.includes(digestOf(layer))) return false;
    response.writeHead(200, { 'content-length': layer.length });
    response.write(layer.subarray(0, partBytes), () => void look());
    return true;
  };
}

test('what an aborted pull has brought in is there for the next one, byte for byte', async () => {
  await using registry = await registryFixture();
  await using machine = await registry.machine();
  const [small, layer] = [await randomLayer(), await randomLayer(5 << 20)];
  const reference = await published(registry, 'app:1', [small, layer], asIs);
  const controller = new AbortController();
  const reason = new Error('enough');
  stopAfter(registry, machine, layer, 1, () => controller.abort(reason));
  await assert.rejects(pull(machine, reference, { signal: controller.signal }), reason);
  assert.deepEqual(await machine.fixture.verify(), []);
  const [part] = await machine.fixture.content.ingests();
  assert.ok(part!.sizeBytes >= partBytes / 2);
  const asked: string[] = [];
  registry.before = (request) => {
    if (request.url?.includes('/blobs/')) asked.push(`${request.url.slice(-64)} ${request.headers.range}`);
    return false;
  };
  await pull(machine, reference);
  assert.deepEqual(
    asked,
    [`${digestOf(layer).slice(7)} bytes=${partBytes}-`],
    'the rest of one layer, and nothing else',
  );
  assert.deepEqual(await machine.fixture.content.ingests(), []);
  assert.deepEqual(await machine.fixture.verify(), []);
});

test('it is there for the next process, too', async () => {
  await using registry = await registryFixture();
  await using folder = await temporaryFolder();
  const layer = await randomLayer(5 << 20);
  const reference = await published(registry, 'app:1', [await randomLayer(), layer], asIs);
  const machineOn = async () => {
    const fixture = await transferFixture(folder.path);
    const stores = { ...fixture.stores, registry: registry.client, maxConcurrentDownloads: 3, maxConcurrentUploads: 5 };
    return { stores, fixture, [Symbol.asyncDispose]: () => fixture[Symbol.asyncDispose]() };
  };
  {
    await using first = await machineOn();
    const controller = new AbortController();
    stopAfter(registry, first, layer, 1, () => controller.abort());
    await assert.rejects(pull(first, reference, { signal: controller.signal }));
  }
  await using second = await machineOn();
  await second.fixture.metadata.recover();
  const [part] = await second.fixture.content.ingests();
  const asked: (string | undefined)[] = [];
  registry.before = (request) => {
    if (request.url?.includes('/blobs/')) asked.push(request.headers.range);
    return false;
  };
  await pull(second, reference);
  assert.deepEqual(asked, [`bytes=${part!.sizeBytes}-`]);
});

test('a part that was damaged meanwhile is thrown away and fetched anew', async () => {
  await using registry = await registryFixture();
  await using machine = await registry.machine();
  const layer = await randomLayer(5 << 20);
  const reference = await published(registry, 'app:1', [layer], asIs);
  const controller = new AbortController();
  stopAfter(registry, machine, layer, 0, () => controller.abort());
  await assert.rejects(pull(machine, reference, { signal: controller.signal }));
  const [part] = await machine.fixture.content.ingests();
  const path = join(machine.fixture.content.path(digestOf(layer)), '../../../ingest', part!.name);
  const bytes = await readFile(path);
  bytes[bytes.length - 100]! ^= 1;
  await writeFile(path, bytes);
  registry.before = () => false;
  await pull(machine, reference);
  assert.deepEqual(await machine.fixture.content.ingests(), []);
  assert.deepEqual(await machine.fixture.verify(), []);
});

test('what was left for another try ends when asked, and once the image is here', async () => {
  await using registry = await registryFixture();
  await using machine = await registry.machine();
  const { content, metadata } = machine.fixture;
  const layer = await randomLayer(5 << 20);
  const reference = await published(registry, 'app:1', [await randomLayer(), layer], asIs);
  const fail = async () => {
    const controller = new AbortController();
    stopAfter(registry, machine, layer, 1, () => controller.abort());
    await assert.rejects(pull(machine, reference, { signal: controller.signal }));
    registry.before = () => false;
  };
  await fail();
  await metadata.collect();
  assert.notDeepEqual(await machine.fixture.contents(), [], 'a collection leaves it alone');
  await metadata.dropLeft();
  await content.removeLeftIngests();
  await metadata.collect();
  await leavesNothing(machine);
  await fail();
  const { id } = await pull(machine, reference);
  await metadata.images.remove(id);
  await metadata.collect();
  await leavesNothing(machine);
});

test('a registry that limits requests is waited for, and that is said', async () => {
  await using registry = await registryFixture();
  await using machine = await registry.machine();
  const layer = await randomLayer();
  const reference = await published(registry, 'app:1', [layer], asIs);
  const layerDigest = digestOf(layer);
  let refusals = 2;
  registry.before = (request, response) => {
    if (!request.url?.includes(layerDigest) || refusals-- <= 0) return false;
    response.writeHead(429, { 'retry-after': '1', 'content-type': 'application/json' }).end('{}');
    return true;
  };
  await pull(machine, reference);
  assert.ok(statuses(machine).some((line) => /Retrying in 1 second \(the registry limits requests\)/.test(line)));
});

test('two pulls at once fetch a layer once', async () => {
  await using registry = await registryFixture();
  await using machine = await registry.machine();
  const layer = await randomLayer(300_000);
  const a = registry.reference('a:1');
  const b = registry.reference('b:1');
  const { blobs } = await publish(registry.client, a, [layer]);
  await publish(registry.client, b, [layer, await randomLayer()]);
  registry.requests.length = 0;
  await Promise.all([pull(machine, a), pull(machine, b)]);
  assert.equal(blobRequests(registry).filter((line) => line.includes(blobs[0]!)).length, 1);
  assert.deepEqual(await machine.fixture.verify(), []);
});
