import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { assembleImage } from '#image';
import { type DiffID, type Digest, digestOf, hostPlatform, mediaTypes, parseManifest, parseTarget } from '#oci';
import { formatReference, type Reference } from '#reference';
import { fromBytes, readAll } from '#streams';
import { pullImage } from './pull.ts';
import { pushAllTags, pushImage } from './push.ts';
import { configFor, randomLayer } from './testsuite-load.ts';
import { type Machine, publish, publishIndex, type RegistryFixture, registryFixture } from './testsuite-registry.ts';

/** An image as a build leaves it: uncompressed layers and a manifest of our own. */
async function build(
  { stores, fixture }: Machine,
  layers: readonly Buffer[],
  names: readonly Reference[],
): Promise<Digest> {
  await using lease = await stores.metadata.lease();
  for (const bytes of layers) {
    const diffID = digestOf(bytes) as DiffID;
    await lease.add(diffID);
    await stores.layers.ingest(fromBytes(bytes), { expected: { diffID } });
    await stores.metadata.layers.put({ diffID, sizeBytes: bytes.length, createdMs: 0 });
  }
  const stored = layers.map((bytes) => ({ diffID: digestOf(bytes) as DiffID, sizeBytes: bytes.length }));
  const description = await assembleImage(fixture.content, { config: configFor(layers), layers: stored });
  await lease.add(...description.references);
  await stores.metadata.images.put(description, names.map(formatReference));
  return description.id;
}

function push({ stores, fixture }: Machine, reference: Reference, options: object = {}) {
  return pushImage(stores, reference, { onProgress: fixture.onProgress, ...options });
}

function pull({ stores, fixture }: Machine, reference: Reference, options: object = {}) {
  return pullImage(stores, reference, { onProgress: fixture.onProgress, ...options });
}

function statuses({ fixture }: Machine): string[] {
  return fixture.said.map(({ id, status }) => (id ? `${id}: ${status}` : `${status}`));
}

function sent(registry: RegistryFixture): string[] {
  return registry.requests.filter((line) => /^(PATCH|PUT) .*\/blobs\//.test(line));
}

async function forget({ fixture }: Machine): Promise<void> {
  for (const { id } of fixture.metadata.images.list()) await fixture.metadata.images.remove(id);
  await fixture.metadata.collect();
  assert.deepEqual(await fixture.contents(), []);
}

test('push, delete, pull: equal digests, with the progress of dockerd', async () => {
  await using registry = await registryFixture();
  await using machine = await registry.machine();
  const layers = [await randomLayer(), await randomLayer(2_500_000)];
  const reference = registry.reference('team/app:v1');
  const id = await build(machine, layers, [reference]);
  const { target } = await push(machine, reference);
  const said = statuses(machine);
  const [bottom, top] = layers.map((layer) => digestOf(layer).slice(7, 19));
  assert.deepEqual(said.slice(0, 3), [
    `The push refers to repository [${registry.address}/team/app]`,
    `${top}: Preparing`,
    `${bottom}: Preparing`,
  ]);
  assert.ok(said.includes(`${top}: Pushing`) && said.includes(`${top}: Pushed`) && said.includes(`${bottom}: Pushed`));
  assert.equal(said.at(-2), `v1: digest: ${target.digest} size: ${target.size}`);
  assert.deepEqual(machine.fixture.said.at(-1), {
    progressDetail: {},
    aux: { Tag: 'v1', Digest: target.digest, Size: target.size },
  });
  const digested = `${registry.address}/team/app@${target.digest}`;
  assert.deepEqual(machine.fixture.metadata.images.get(id)!.repoDigests, [digested]);
  const manifest = parseManifest((await registry.client.manifest(reference)).bytes);
  assert.equal(manifest.mediaType, mediaTypes.dockerManifest);
  assert.equal(manifest.config.digest, id);
  for (const [position, layer] of manifest.layers.entries()) {
    assert.equal(layer.mediaType, mediaTypes.dockerLayerGzip);
    const { source } = await registry.client.blob(reference, layer.digest);
    const bytes = await readAll(source, 10 << 20);
    assert.equal(bytes.length, layer.size);
    assert.ok(gunzipSync(bytes).equals(layers[position]!));
  }
  await forget(machine);
  assert.equal((await pull(machine, reference)).id, id);
  assert.deepEqual(machine.fixture.metadata.images.get(id)!.repoDigests, [digested]);
  assert.deepEqual(await machine.fixture.verify(), []);
});

test('a second push moves nothing and gives the same digest', async () => {
  await using registry = await registryFixture();
  await using machine = await registry.machine();
  const layers = [await randomLayer(), await randomLayer()];
  const reference = registry.reference('app:1');
  await build(machine, layers, [reference]);
  const first = await push(machine, reference);
  registry.requests.length = 0;
  machine.fixture.said.length = 0;
  const second = await push(machine, reference);
  assert.deepEqual(second.target, first.target);
  assert.deepEqual(sent(registry), []);
  assert.equal(statuses(machine).filter((line) => line.endsWith('Layer already exists')).length, 2);
  await forget(machine);
  await pull(machine, reference);
  assert.deepEqual((await push(machine, reference)).target, first.target);
  assert.deepEqual(sent(registry), []);
});

test('the same image from two machines is the same manifest', async () => {
  await using registry = await registryFixture();
  const layers = [await randomLayer(1_500_000)];
  const digests = new Set<string>();
  for (const name of ['a:1', 'b:1']) {
    await using machine = await registry.machine();
    await build(machine, layers, [registry.reference(name)]);
    digests.add((await push(machine, registry.reference(name))).target.digest);
  }
  assert.equal(digests.size, 1);
});

test('another repository on the same host mounts the layers', async () => {
  await using registry = await registryFixture();
  await using machine = await registry.machine();
  const [one, two] = [registry.reference('hw/one:1'), registry.reference('hw/two:1')];
  const layers = [await randomLayer(), await randomLayer()];
  await build(machine, layers, [one, two]);
  const first = await push(machine, one);
  registry.requests.length = 0;
  const second = await push(machine, two);
  assert.equal(second.target.digest, first.target.digest);
  assert.equal(statuses(machine).filter((line) => line.endsWith('Mounted from hw/one')).length, 2);
  assert.equal(sent(registry).length, 1, 'the config only');
});

test('a pulled image goes to another registry byte for byte', async () => {
  await using source = await registryFixture();
  await using target = await registryFixture();
  await using machine = await source.machine();
  const from = source.reference('app:1');
  const { descriptor, configDigest } = await publish(source.client, from, [await randomLayer(), await randomLayer()]);
  await pull(machine, from);
  const to = target.reference('copy:1');
  await machine.fixture.metadata.images.tag(configDigest, formatReference(to));
  const pushed = await push(machine, to);
  assert.equal(pushed.target.digest, descriptor.digest);
  const there = await target.client.manifest(to);
  assert.deepEqual(there.bytes, (await source.client.manifest(from)).bytes);
});

test('what was here when a repository was pulled is mounted from there', async () => {
  await using first = await registryFixture();
  await using second = await registryFixture();
  await using machine = await first.machine();
  const layers = [await randomLayer(), await randomLayer()];
  const [from, again] = [first.reference('app:1'), second.reference('team/app:1')];
  const { descriptor, configDigest } = await publish(first.client, from, layers);
  await publish(second.client, again, layers);
  await pull(machine, from);
  await pull(machine, again);
  machine.fixture.said.length = 0;
  first.requests.length = 0;
  const to = second.reference('copy:1');
  await machine.fixture.metadata.images.tag(configDigest, formatReference(to));
  assert.equal((await push(machine, to)).target.digest, descriptor.digest);
  assert.equal(statuses(machine).filter((line) => line.endsWith('Mounted from team/app')).length, 2);
  assert.deepEqual(first.requests, []);
});

test('when the original is out of reach it is compressed anew, and said so', async () => {
  await using source = await registryFixture();
  await using target = await registryFixture();
  await using machine = await source.machine();
  const from = source.reference('app:1');
  const { descriptor, configDigest } = await publish(source.client, from, [await randomLayer()]);
  await pull(machine, from);
  source.before = (_, response) => {
    response.writeHead(404).end();
    return true;
  };
  const to = target.reference('copy:1');
  await machine.fixture.metadata.images.tag(configDigest, formatReference(to));
  const pushed = await push(machine, to);
  assert.notEqual(pushed.target.digest, descriptor.digest);
  assert.ok(statuses(machine).some((line) => line.includes('compressed anew')));
  const { bytes } = await target.client.manifest(to);
  const manifest = parseManifest(bytes);
  assert.equal(manifest.mediaType, mediaTypes.ociManifest, 'its own family');
  assert.deepEqual(manifest.annotations, { 'org.example.kept': 'byte for byte' });
  assert.equal(manifest.config.digest, configDigest);
  assert.deepEqual((await push(machine, to)).target, pushed.target);
  await using elsewhere = await target.machine();
  assert.equal((await pull(elsewhere, to)).id, configDigest);
});

test('an original that breaks off for good is compressed anew', async () => {
  await using source = await registryFixture();
  await using target = await registryFixture();
  await using machine = await source.machine();
  const from = source.reference('app:1');
  const { configDigest, blobs } = await publish(source.client, from, [await randomLayer(400_000)]);
  await pull(machine, from);
  source.before = (request, response) => {
    if (request.method !== 'GET' || !request.url?.includes(blobs[0]!)) return false;
    response.writeHead(404).end();
    return true;
  };
  const to = target.reference('copy:1');
  await machine.fixture.metadata.images.tag(configDigest, formatReference(to));
  await push(machine, to);
  await using elsewhere = await target.machine();
  assert.equal((await pull(elsewhere, to)).id, configDigest);
});

test('storms pass: cut uploads begin again', async () => {
  await using registry = await registryFixture();
  await using machine = await registry.machine();
  const reference = registry.reference('app:1');
  await build(machine, [await randomLayer(700_000), await randomLayer()], [reference]);
  let failures = 0;
  registry.before = (request, response) => {
    if (request.url === '/v2/' || failures++ % 3 !== 0) return false;
    if (failures % 2 === 0) {
      request.resume();
      response.writeHead(503).end();
    } else request.once('data', () => request.socket.destroy()).once('end', () => request.socket.destroy());
    return true;
  };
  const { target } = await push(machine, reference);
  registry.before = () => false;
  assert.equal((await registry.client.resolve(reference)).digest, target.digest);
});

test('all tags of a repository', async () => {
  await using registry = await registryFixture();
  await using machine = await registry.machine();
  const tags = ['v2', 'v1'].map((tag) => registry.reference(`team/app:${tag}`));
  await build(machine, [await randomLayer()], tags);
  const { domain, path } = tags[0]!;
  const options = { onProgress: machine.fixture.onProgress };
  const pushed = await pushAllTags(machine.stores, { domain, path }, options);
  assert.equal(pushed.length, 2);
  assert.deepEqual(await Array.fromAsync(registry.client.tags({ domain, path })), ['v1', 'v2']);
  assert.deepEqual(
    statuses(machine)
      .filter((line) => line.includes(': digest: '))
      .map((line) => line.slice(0, 2)),
    ['v1', 'v2'],
  );
});

test('refusals have the words of docker push', async () => {
  await using registry = await registryFixture();
  await using machine = await registry.machine();
  const reference = registry.reference('app:1');
  await assert.rejects(push(machine, reference), {
    message: `An image does not exist locally with the tag: ${registry.address}/app`,
  });
  await build(machine, [await randomLayer()], [reference]);
  await assert.rejects(push(machine, { ...reference, tag: 'nope' }), {
    message: `tag does not exist: ${registry.address}/app:nope`,
  });
  await assert.rejects(push(machine, { ...reference, digest: digestOf('x') }), {
    message: 'cannot push a digest reference',
  });
  registry.before = (_, response) => {
    const body = JSON.stringify({
      errors: [{ code: 'DENIED', message: 'requested access to the resource is denied' }],
    });
    response.writeHead(403, { 'content-type': 'application/json' }).end(body);
    return true;
  };
  await assert.rejects(push(machine, reference), {
    message: 'denied: requested access to the resource is denied',
  });
  await assert.rejects(
    pushAllTags(machine.stores, { domain: registry.address, path: 'none' }, { onProgress: () => {} }),
    { message: `An image does not exist locally with the tag: ${registry.address}/none` },
  );
});

test("of an index the image's platform is pushed, or the whole when it is all here", async () => {
  await using registry = await registryFixture();
  await using machine = await registry.machine();
  const { client } = registry;
  const other = { os: 'linux', architecture: 's390x' };
  const reference = registry.reference('multi:1');
  const scratch = { ...reference, tag: 'scratch' };
  const here = await publish(client, scratch, [await randomLayer()]);
  const there = await publish(client, scratch, [await randomLayer()], { platform: other });
  const index = await publishIndex(client, reference, [
    { ...here.descriptor, platform: hostPlatform() },
    { ...there.descriptor, platform: other },
  ]);
  const copy = registry.reference('copy:1');
  await pull(machine, reference);
  await machine.fixture.metadata.images.tag(here.configDigest, formatReference(copy));
  assert.equal((await push(machine, copy)).target.digest, here.descriptor.digest);
  await pull(machine, reference, { platform: other });
  const pushed = await push(machine, copy);
  assert.equal(pushed.target.digest, index.digest);
  assert.equal(parseTarget((await client.manifest(copy)).bytes).kind, 'index');
});

test('of an index that is not here whole the platform of this machine is pushed, and named in place of the index', async () => {
  await using registry = await registryFixture();
  await using machine = await registry.machine();
  const { client } = registry;
  const platforms = ['s390x', 'riscv64'].map((architecture) => ({ os: 'linux', architecture }));
  const reference = registry.reference('multi:1');
  const scratch = { ...reference, tag: 'scratch' };
  const entries = [];
  for (const platform of [...platforms, hostPlatform()]) {
    const { descriptor } = await publish(client, scratch, [await randomLayer()], { platform });
    entries.push({ ...descriptor, platform });
  }
  const originalIndex = await publishIndex(client, reference, entries);
  await pull(machine, reference, { platform: platforms[0]! });
  await pull(machine, reference);
  const pushed = await push(machine, reference);
  assert.equal(pushed.target.digest, entries[2]!.digest);
  const auxes = machine.fixture.said.flatMap(({ aux }) => (aux === undefined ? [] : [aux]));
  assert.deepEqual(auxes[0], { manifestPushedInsteadOfIndex: true, originalIndex, selectedManifest: entries[2] });
  const one = registry.reference('one:1');
  await machine.fixture.metadata.images.tag(pushed.id, formatReference(one), undefined, originalIndex);
  assert.equal((await push(machine, one, { platform: platforms[0]! })).target.digest, entries[0]!.digest);
});

/** Lets a connection die once a PATCH has brought so many bytes; counts what all of them bring. */
function cutUploads(
  registry: RegistryFixture,
  cut: { afterBytes: number; times: number; by?: () => void },
): { bytes: number } {
  const seen = { bytes: 0 };
  registry.before = (request) => {
    if (request.method !== 'PATCH') return false;
    let arrived = 0;
    const isCut = cut.times-- > 0;
    const push = request.push.bind(request);
    request.push = (chunk: Buffer | null) => {
      seen.bytes += chunk?.length ?? 0;
      arrived += chunk?.length ?? 0;
      if (isCut && arrived > cut.afterBytes) {
        setTimeout(cut.by ?? (() => request.socket.destroy()), 20);
      }
      return push(chunk);
    };
    return false;
  };
  return seen;
}

test('an upload whose connection breaks goes on where the registry stands', async () => {
  await using registry = await registryFixture();
  await using machine = await registry.machine();
  const layer = await randomLayer(12 << 20);
  const reference = registry.reference('big:1');
  await build(machine, [layer], [reference]);
  const seen = cutUploads(registry, { afterBytes: 4 << 20, times: 1 });
  const { target } = await push(machine, reference);
  assert.ok(statuses(machine).some((line) => /: Retrying in 1 second$/.test(line)));
  assert.ok(seen.bytes < layer.length * 1.5, `${seen.bytes} bytes for a layer of ${layer.length}`);
  assert.equal(
    registry.requests.filter((line) => /^POST .*uploads/.test(line)).length,
    2,
    'one each for layer and config',
  );
  await using other = await registry.machine();
  await pull(other, reference);
  assert.deepEqual(await other.fixture.verify(), []);
  assert.equal(other.fixture.metadata.images.list()[0]!.target.digest, target.digest);
});

test('a push after one that was broken off, by another process even, sends the rest', async () => {
  await using registry = await registryFixture();
  await using machine = await registry.machine();
  const layer = await randomLayer(12 << 20);
  const reference = registry.reference('big:1');
  await build(machine, [layer], [reference]);
  const controller = new AbortController();
  cutUploads(registry, { afterBytes: 4 << 20, times: 1, by: () => controller.abort() });
  await assert.rejects(push(machine, reference, { signal: controller.signal }));
  const seen = cutUploads(registry, { afterBytes: 0, times: 0 });
  await push(machine, reference);
  assert.ok(seen.bytes < layer.length, `${seen.bytes} bytes of a layer of ${layer.length}`);
  assert.equal(
    registry.requests.filter((line) => /^POST .*uploads/.test(line)).length,
    2,
    'one each for layer and config',
  );
});

test('a registry that has lost an upload gets all of it', async () => {
  await using registry = await registryFixture();
  await using machine = await registry.machine();
  const layer = await randomLayer(6 << 20);
  const reference = registry.reference('big:1');
  await build(machine, [layer], [reference]);
  const key = `${registry.address}/big ${digestOf(layer)} gzip default`;
  await machine.fixture.metadata.uploads.keep(key, `http://${registry.address}/v2/big/blobs/uploads/gone`);
  await push(machine, reference);
  assert.equal(await machine.fixture.metadata.uploads.take(key), undefined);
  await using other = await registry.machine();
  await pull(other, reference);
  assert.deepEqual(await other.fixture.verify(), []);
});

test('a registry that limits requests is waited for, and the progress of a push says so', async () => {
  await using registry = await registryFixture();
  await using machine = await registry.machine();
  const reference = registry.reference('limited:1');
  await build(machine, [await randomLayer()], [reference]);
  let refusals = 1;
  registry.before = (request, response) => {
    if (!/^\/v2\/limited\/blobs/.test(request.url ?? '') || refusals-- <= 0) return false;
    response.writeHead(429, { 'retry-after': '1' }).end();
    return true;
  };
  await push(machine, reference);
  assert.ok(statuses(machine).some((line) => /: Retrying in 1 second \(the registry limits requests\)$/.test(line)));
});

test('layers made here go as zstd when that is asked for; those from elsewhere stay as they were', async () => {
  await using registry = await registryFixture();
  await using machine = await registry.machine();
  const layers = [await randomLayer(), await randomLayer()];
  const reference = registry.reference('made:1');
  await build(machine, layers, [reference]);
  const compression = { format: 'zstd', level: 5 };
  const { target } = await push(machine, reference, { compression });
  assert.equal(target.mediaType, mediaTypes.ociManifest);
  const manifest = parseManifest((await registry.client.manifest(reference)).bytes);
  assert.deepEqual(new Set(manifest.layers.map(({ mediaType }) => mediaType)), new Set([mediaTypes.ociLayerZstd]));
  registry.requests.length = 0;
  assert.equal((await push(machine, reference, { compression })).target.digest, target.digest);
  assert.deepEqual(sent(registry), []);
  await using other = await registry.machine();
  await pull(other, reference);
  assert.deepEqual(await other.fixture.verify(), []);

  const pulled = registry.reference('pulled:1');
  const original = await publish(registry.client, pulled, [await randomLayer()]);
  await pull(machine, pulled);
  const copy = registry.reference('copy:1');
  await machine.fixture.metadata.images.tag(original.configDigest, formatReference(copy));
  assert.equal((await push(machine, copy, { compression })).target.digest, original.descriptor.digest);
});
