import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { packTar, readTar, utf8FromBytes } from '#archive';
import { type Descriptor, type Digest, digestOf, mediaTypes, parsePlatform } from '#oci';
import { fromBytes, readAll } from '#streams';
import { temporaryFolder } from '#testing';
import { type CopyOptions, type CopyProgress, copyPlaces } from './index.ts';
import { publishImage, publishIndex, type TestRegistry, testRegistry } from './testsuite.ts';

const amd64 = { os: 'linux', architecture: 'amd64' };
const arm64 = { os: 'linux', architecture: 'arm64' };
const windows = { os: 'windows', architecture: 'amd64', 'os.version': '10.0.20348.1' };

async function publishMany(hub: TestRegistry, name: string) {
  const shared = randomBytes(5000);
  const children: Descriptor[] = [];
  for (const platform of [amd64, arm64, windows])
    children.push(
      await publishImage(hub, hub.reference(`${name}:part`), { platform, layers: [shared, randomBytes(9000)] }),
    );
  const attestation = {
    ...(await publishImage(hub, hub.reference(`${name}:part`))),
    platform: { os: 'unknown', architecture: 'unknown' },
    annotations: {
      'vnd.docker.reference.type': 'attestation-manifest',
      'vnd.docker.reference.digest': children[1]!.digest,
    },
  };
  const index = await publishIndex(hub, hub.reference(`${name}:1`), [...children, attestation]);
  return { index, children, attestation };
}

async function copy(hub: TestRegistry, from: string, to: string, options: CopyOptions = {}) {
  const states = new Map<Digest, CopyProgress['state']>();
  const onProgress = ({ digest, state }: CopyProgress) => states.set(digest, state);
  const ends = [from, to].map((place) => ({ place, call: hub.call }));
  const copied = await copyPlaces(ends[0]!, ends[1]!, { onProgress, ...options });
  return { ...copied, states: [...states.values()] };
}

test('an index goes from registry to registry with everything below it, byte for byte', async () => {
  await using hub = await testRegistry();
  await using other = await testRegistry();
  const { index, children, attestation } = await publishMany(hub, 'team/app');
  const first = await copy(hub, `${hub.address}/team/app:1`, `${other.address}/mine:2`);
  assert.equal(first.top.digest, index.digest);
  assert.deepEqual(new Set(first.states), new Set(['copied']));
  const there = await other.call.registry.manifest(other.reference('mine:2'));
  assert.deepEqual(there.bytes, (await hub.call.registry.manifest(hub.reference('team/app:1'))).bytes);
  for (const { digest } of [...children, attestation])
    assert.equal((await other.call.registry.resolve({ ...other.reference('mine'), digest })).digest, digest);
  other.requests.length = 0;
  const again = await copy(hub, `${hub.address}/team/app:1`, `${other.address}/mine:3`);
  assert.deepEqual(again.states, [], 'what is there is not looked at again');
  assert.deepEqual(
    other.requests.filter((line) => !/^(GET|HEAD)/.test(line)),
    ['PUT /v2/mine/manifests/3'],
  );
});

test('blobs are mounted within a registry', async () => {
  await using hub = await testRegistry();
  await publishMany(hub, 'team/app');
  const { states } = await copy(hub, `${hub.address}/team/app:1`, `${hub.address}/elsewhere/app`);
  assert.deepEqual(new Set(states), new Set(['mounted']));
});

test('a platform alone, or some of them with what is said about them', async () => {
  await using hub = await testRegistry();
  const { index, children, attestation } = await publishMany(hub, 'app');
  const platforms = (...names: string[]) => ({ platforms: names.map(parsePlatform) });
  const one = await copy(hub, `${hub.address}/app:1`, `${hub.address}/one`, platforms('windows/amd64'));
  assert.equal(one.top.digest, children[2]!.digest);
  const two = await copy(hub, `${hub.address}/app:1`, `${hub.address}/two`, platforms('linux/arm64', 'linux/amd64'));
  assert.ok(two.isNewIndex);
  const { bytes } = await hub.call.registry.manifest(hub.reference('two'));
  const kept = (JSON.parse(bytes.toString()) as { manifests: Descriptor[] }).manifests;
  assert.deepEqual(
    kept.map(({ digest }) => digest),
    [children[0]!.digest, children[1]!.digest, attestation.digest],
  );
  const all = ['linux/amd64', 'linux/arm64', 'windows/amd64'];
  const whole = await copy(hub, `${hub.address}/app:1`, `${hub.address}/all`, platforms(...all));
  assert.deepEqual([whole.top.digest, whole.isNewIndex], [index.digest, false]);
  await assert.rejects(
    copy(hub, `${hub.address}/app:1`, `${hub.address}/none`, platforms('linux/s390x')),
    /no matching manifest for linux\/s390x/,
  );
  await assert.rejects(
    copy(hub, `${hub.address}/one`, `${hub.address}/none`, platforms('linux/arm64', 'linux/amd64')),
    /the image is for windows\/amd64, not for linux\/arm64, linux\/amd64/,
  );
  await copy(hub, `${hub.address}/one`, `${hub.address}/same`, platforms('linux/arm64', 'windows/amd64'));
});

test('image layouts and archives carry it there and back', async () => {
  await using hub = await testRegistry();
  await using folder = await temporaryFolder();
  const { index, children } = await publishMany(hub, 'app');
  const layout = join(folder.path, 'layout');
  await copy(hub, `${hub.address}/app:1`, `oci:${layout}:many`);
  await copy(hub, `${hub.address}/app:1`, `oci:${layout}:arm`, { platforms: [parsePlatform('linux/arm64')] });
  const archive = join(folder.path, 'a.tar');
  await copy(hub, `oci:${layout}:many`, `oci-archive:${archive}:many`);
  const back = await copy(hub, `oci-archive:${archive}`, `${hub.address}/back`);
  assert.equal(back.top.digest, index.digest);
  const arm = await copy(hub, `oci:${layout}:arm`, `${hub.address}/arm`);
  assert.equal(arm.top.digest, children[1]!.digest);
  await assert.rejects(copy(hub, `oci:${layout}`, `${hub.address}/x`), /several images, say which: many, arm/);
  await assert.rejects(copy(hub, `oci:${layout}:nope`, `${hub.address}/x`), /has no image nope; it has many, arm/);
  await assert.rejects(copy(hub, `${hub.address}/app:1`, `oci-archive:${archive}`), /is there already/);
  assert.deepEqual((await readdir(folder.path)).sort(), ['a.tar', 'layout']);
  // A name moves; others stay.
  await copy(hub, `${hub.address}/app:1`, `oci:${layout}:arm`);
  const entries = JSON.parse(await readFile(join(layout, 'index.json'), 'utf8')) as { manifests: Descriptor[] };
  assert.deepEqual(
    entries.manifests.map(({ digest }) => digest),
    [index.digest, index.digest],
  );
});

test('a docker-archive has the one image that docker load wants', async () => {
  await using hub = await testRegistry();
  await using folder = await temporaryFolder();
  await publishMany(hub, 'app');
  const archive = join(folder.path, 'd.tar');
  const options = { platforms: [parsePlatform('linux/amd64')] };
  const { top } = await copy(hub, `${hub.address}/app:1`, `docker-archive:${archive}:team/app:7`, options);
  const members = new Map<string, Buffer>();
  for await (const item of readTar(createReadStream(archive)))
    members.set(utf8FromBytes(item.path), await readAll(item.body, 1 << 20));
  const [image] = JSON.parse(members.get('manifest.json')!.toString()) as {
    Config: string;
    RepoTags: string[];
    Layers: string[];
  }[];
  assert.deepEqual(image!.RepoTags, ['team/app:7']);
  for (const name of [image!.Config, ...image!.Layers])
    assert.equal(digestOf(members.get(name)!), name.replace('blobs/', '').replace('/', ':'));
  await writeFile(`${archive}.gz`, gzipSync(await readFile(archive)));
  const back = await copy(hub, `docker-archive:${archive}.gz:team/app:7`, `${hub.address}/back`);
  assert.equal(back.top.digest, top.digest);
});

test('an archive that inflates to more than it may is refused, and leaves nothing', async (t) => {
  await using hub = await testRegistry();
  await using folder = await temporaryFolder();
  const archive = join(folder.path, 'bomb.tar');
  const zeros = Buffer.alloc(8 << 20);
  const { TMPDIR } = process.env;
  process.env['TMPDIR'] = folder.path;
  t.after(() => {
    if (TMPDIR === undefined) delete process.env['TMPDIR'];
    else process.env['TMPDIR'] = TMPDIR;
  });
  for (const bytes of [gzipSync(zeros), zstdCompressSync(zeros)]) {
    await writeFile(archive, bytes);
    await assert.rejects(copy(hub, `oci-archive:${archive}`, `${hub.address}/bomb:1`, { maxInflatedBytes: 1 << 20 }), {
      kind: 'out-of-range',
      message: `${archive} inflates to more than 1048576 bytes, the most that is allowed`,
    });
  }
  assert.deepEqual(await readdir(folder.path), ['bomb.tar']);
});

test('an archive of an older docker save gets a manifest', async () => {
  await using hub = await testRegistry();
  await using folder = await temporaryFolder();
  const layers = [randomBytes(3000), gzipSync(randomBytes(3000))];
  const config = Buffer.from(
    JSON.stringify({ ...amd64, rootfs: { type: 'layers', diff_ids: layers.map((layer) => digestOf(layer)) } }),
  );
  const item = { Config: 'c.json', RepoTags: ['old:1'], Layers: ['l0/layer.tar', 'l1/layer.tar'] };
  const files: [string, Buffer][] = [
    ['l0/layer.tar', layers[0]!],
    ['l1/layer.tar', layers[1]!],
    ['c.json', config],
    ['manifest.json', Buffer.from(JSON.stringify([item]))],
  ];
  const entries = files.map(([path, body]) => ({
    entry: { type: 'file' as const, path, sizeBytes: body.length },
    body,
  }));
  const archive = join(folder.path, 'old.tar');
  await writeFile(archive, packTar(entries));
  await copy(hub, `docker-archive:${archive}`, `${hub.address}/old`);
  const { bytes } = await hub.call.registry.manifest(hub.reference('old'));
  const manifest = JSON.parse(bytes.toString()) as { config: Descriptor; layers: Descriptor[] };
  assert.equal(manifest.config.digest, digestOf(config));
  assert.deepEqual(
    manifest.layers.map(({ mediaType }) => mediaType),
    [mediaTypes.dockerLayer, mediaTypes.dockerLayerGzip],
  );
  await assert.rejects(copy(hub, `docker-archive:${archive}:new`, `${hub.address}/x`), /no image new; it has old:1/);
});

test('wrong bytes are refused wherever they are from, and nothing gets the name', async () => {
  await using hub = await testRegistry();
  await using folder = await temporaryFolder();
  const layer = randomBytes(200_000);
  await publishImage(hub, hub.reference('app:1'), { layers: [layer] });
  const layout = join(folder.path, 'layout');
  await copy(hub, `${hub.address}/app:1`, `oci:${layout}`);
  const blob = join(layout, 'blobs/sha256', digestOf(layer).slice(7));
  for (const damaged of [Buffer.concat([layer.subarray(1), Buffer.of(0)]), layer.subarray(5), Buffer.alloc(300_000)]) {
    await writeFile(blob, damaged);
    await assert.rejects(copy(hub, `oci:${layout}`, `${hub.address}/bad`), /digest|bytes instead of/);
    await assert.rejects(
      copy(hub, `oci:${layout}`, `oci-archive:${join(folder.path, 'bad.tar')}`),
      /digest|instead of/,
    );
  }
  await assert.rejects(hub.call.registry.resolve(hub.reference('bad:latest')), /not found/);
  await assert.rejects(stat(join(folder.path, 'bad.tar')), { code: 'ENOENT' });
  assert.deepEqual(await readdir(folder.path), ['layout'], 'no half archive stays');
});

test('connections that break are resumed; foreign layers stay where they are', async () => {
  await using hub = await testRegistry();
  await using other = await testRegistry();
  const layer = randomBytes(400_000);
  await publishImage(hub, hub.reference('app:1'), { layers: [layer] });
  let breaks = 3;
  hub.before = (request, response) => {
    if (request.method !== 'GET' || !request.url!.endsWith(digestOf(layer)) || breaks-- <= 0) return false;
    const from = Number(/bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0);
    const headers = { 'content-length': layer.length - from, 'content-range': `bytes ${from}-399999/400000` };
    response
      .writeHead(from > 0 ? 206 : 200, headers)
      .write(layer.subarray(from, from + 50_000), () => response.destroy());
    return true;
  };
  await copy(hub, `${hub.address}/app:1`, `${other.address}/app:1`);
  const got = await other.call.registry.blob(other.reference('app'), digestOf(layer));
  assert.deepEqual(await readAll(got.source, 1 << 20), layer);
  hub.before = () => false;
  const config = Buffer.from('{"os":"windows","architecture":"amd64","rootfs":{"type":"layers","diff_ids":[]}}');
  const foreign = { mediaType: mediaTypes.dockerForeignLayer, digest: digestOf('far'), size: 3, urls: ['http://x/'] };
  await hub.call.registry.pushBlob(hub.reference('win'), {
    digest: digestOf(config),
    sizeBytes: config.length,
    open: async function* () {
      yield config;
    },
  });
  const manifest = {
    schemaVersion: 2,
    mediaType: mediaTypes.dockerManifest,
    config: { mediaType: mediaTypes.dockerConfig, digest: digestOf(config), size: config.length },
    layers: [foreign],
  };
  const document = { mediaType: mediaTypes.dockerManifest, bytes: Buffer.from(JSON.stringify(manifest)) };
  await hub.call.registry.putManifest(hub.reference('win:1'), document);
  const { states, top } = await copy(hub, `${hub.address}/win:1`, `${other.address}/win:1`);
  assert.deepEqual(states.sort(), ['copied', 'skipped']);
  assert.equal((await other.call.registry.resolve(other.reference('win:1'))).digest, top.digest);
});

test('an index that names blobs, as the cache of a builder does, is copied with them', async () => {
  await using hub = await testRegistry();
  const from = hub.reference('app:cache');
  const bytes = [randomBytes(3000), Buffer.from('{"layers":[]}')];
  const types = [mediaTypes.ociLayerGzip, 'application/vnd.buildkit.cacheconfig.v0'];
  const entries = bytes.map((each, at) => ({ mediaType: types[at]!, digest: digestOf(each), size: each.length }));
  for (const [at, { digest, size: sizeBytes }] of entries.entries())
    await hub.call.registry.pushBlob(from, { digest, sizeBytes, open: () => fromBytes(bytes[at]!) });
  const top = await publishIndex(hub, from, entries);
  await copy(hub, `${hub.address}/app:cache`, `${hub.address}/other:cache`);
  const to = hub.reference('other:cache');
  assert.equal((await hub.call.registry.resolve(to)).digest, top.digest);
  const { source } = await hub.call.registry.blob(to, entries[0]!.digest);
  assert.ok((await readAll(source, 4000)).equals(bytes[0]!));
});

test('indexes without end are refused', async () => {
  await using hub = await testRegistry();
  let inner = await publishImage(hub, hub.reference('deep:0'));
  for (let depth = 0; depth < 6; depth++) inner = await publishIndex(hub, hub.reference(`deep:${depth}`), [inner]);
  await assert.rejects(copy(hub, `${hub.address}/deep:5`, `${hub.address}/flat`), /nested deeper than 4/);
});
