import assert from 'node:assert/strict';
import { unlink } from 'node:fs/promises';
import { test } from 'node:test';
import { readTar } from '#archive';
import { type ErrorKind, isKind } from '#errdefs';
import { assembleImage } from '#image';
import { type Descriptor, type DiffID, digestOf, hostPlatform } from '#oci';
import { fromBytes, readAll } from '#streams';
import { loadImages } from './load.ts';
import { pullImage } from './pull.ts';
import { saveImages } from './save.ts';
import {
  blobPath,
  configFor,
  oldArchive,
  randomLayer,
  type TransferFixture,
  transferFixture,
} from './testsuite-load.ts';
import { publish, publishIndex, registryFixture } from './testsuite-registry.ts';

const save = ({ stores }: TransferFixture, names: readonly string[], options: object = {}) =>
  readAll(saveImages(stores, names, options), 1 << 30);

async function members(archive: Buffer): Promise<Map<string, { mode: number; mtime: number; body: Buffer }>> {
  const found = new Map<string, { mode: number; mtime: number; body: Buffer }>();
  for await (const item of readTar(fromBytes(archive)))
    found.set(item.path, { mode: item.mode, mtime: item.mtime.sec, body: await readAll(item.body, 1 << 30) });
  return found;
}

async function withImage(
  body: (fixture: TransferFixture, layers: readonly Buffer[], config: Buffer) => Promise<void>,
): Promise<void> {
  await using fixture = await transferFixture();
  const layers = [await randomLayer(3 << 20), await randomLayer()];
  const config = configFor(layers);
  await loadImages(fixture.stores, fromBytes(await oldArchive(layers, ['app:1', 'app:2', 'example.org/x:1'], config)));
  await body(fixture, layers, config);
}

test('what is saved is what Docker saves', () =>
  withImage(async (fixture, layers, config) => {
    const archive = await members(await save(fixture, ['app:1']));
    const layerNames = layers.map((layer) => `blobs/${digestOf(layer).replace(':', '/')}`);
    const configName = `blobs/${digestOf(config).replace(':', '/')}`;
    const index = JSON.parse(archive.get('index.json')!.body.toString());
    const manifestName = `blobs/${index.manifests[0].digest.replace(':', '/')}`;
    assert.deepEqual(
      [...archive.keys()],
      [
        'blobs/',
        'blobs/sha256/',
        ...[...layerNames, configName, manifestName].sort(),
        'index.json',
        'manifest.json',
        'oci-layout',
        'repositories',
      ],
    );
    for (const [at, layer] of layers.entries()) assert.deepEqual(archive.get(layerNames[at]!)?.body, layer);
    assert.equal(archive.get(layerNames[0]!)?.mtime, Date.UTC(2026, 0, 2, 3, 4, 5) / 1000);
    assert.equal(archive.get('blobs/')?.mode, 0o755);
    assert.equal(archive.get('index.json')?.mode, 0o644);
    assert.deepEqual(index.manifests[0].annotations, {
      'io.containerd.image.name': 'docker.io/library/app:1',
      'org.opencontainers.image.ref.name': '1',
    });
    const manifest = archive.get('manifest.json')!.body.toString();
    assert.ok(manifest.endsWith('\n'));
    const sources = Object.fromEntries(
      layers
        .map((layer) => ({
          mediaType: 'application/vnd.oci.image.layer.v1.tar',
          size: layer.length,
          digest: digestOf(layer),
        }))
        .map((source) => [source.digest, source]),
    );
    assert.deepEqual(JSON.parse(manifest), [
      { Config: configName, RepoTags: ['app:1'], Layers: layerNames, LayerSources: sources },
    ]);
    assert.equal(archive.get('repositories')?.body.toString(), `{"app":{"1":"${digestOf(layers[1]!).slice(7)}"}}\n`);
    assert.equal(archive.get('oci-layout')?.body.toString(), '{"imageLayoutVersion": "1.0.0"}');
    assert.equal(fixture.metadata.images.get(digestOf(config))?.manifest.digest, index.manifests[0].digest);
  }));

test('the same save gives the same bytes, and loads again elsewhere as the same image', () =>
  withImage(async (fixture, _, config) => {
    const archive = await save(fixture, ['app', 'example.org/x:1']);
    assert.deepEqual(await save(fixture, ['app', 'example.org/x:1']), archive);
    await using elsewhere = await transferFixture();
    assert.deepEqual(await loadImages(elsewhere.stores, fromBytes(archive)), [
      {
        id: digestOf(config),
        names: ['docker.io/library/app:1', 'docker.io/library/app:2', 'example.org/x:1'],
      },
    ]);
    assert.deepEqual(await save(elsewhere, ['app', 'example.org/x:1']), archive);
    assert.deepEqual(await elsewhere.verify(), []);
  }));

test('several images share their layers; parents are linked; IDs bring no names', () =>
  withImage(async (fixture, layers, config) => {
    const id = digestOf(config);
    const child = configFor([...layers, await randomLayer()].slice(0, 2), undefined, { author: 'child' });
    await loadImages(fixture.stores, fromBytes(await oldArchive(layers, ['child:1'], child)));
    const stored = layers.map((layer) => ({ diffID: digestOf(layer) as DiffID, sizeBytes: layer.length }));
    const image = await assembleImage(fixture.content, { config: child, layers: stored, parent: id });
    await fixture.metadata.images.put(image);
    const archive = await members(await save(fixture, ['child:1', id.slice(7), id.slice(7, 15)]));
    const items = JSON.parse(archive.get('manifest.json')!.body.toString());
    assert.deepEqual(
      items.map((item: { RepoTags: unknown }) => item.RepoTags),
      [['child:1'], null],
    );
    assert.deepEqual(
      items.map((item: { Parent?: unknown }) => item.Parent),
      [id, undefined],
    );
    const index = JSON.parse(archive.get('index.json')!.body.toString());
    assert.equal('annotations' in index.manifests[1], false);
    assert.equal([...archive.keys()].filter((name) => name.startsWith('blobs/sha256/')).length, 1 + 2 + 2 + 2);
    assert.deepEqual(Object.keys(JSON.parse(archive.get('repositories')!.body.toString())), ['child']);
  }));

test('what cannot be saved is refused before the first byte', () =>
  withImage(async (fixture, layers) => {
    const refused = (names: string[], message: RegExp, kind: ErrorKind, options: object = {}) =>
      assert.rejects(
        saveImages(fixture.stores, names, options)[Symbol.asyncIterator]().next(),
        (error: Error) => isKind(error, kind) && (message.test(error.message) || assert.fail(error.message)),
      );
    await refused(['nope'], /^No such image: nope$/, 'not-found');
    await refused(['nope:1'], /^reference does not exist$/, 'not-found');
    await refused(['App:1'], /must be lowercase/, 'invalid-argument');
    await refused([''], /invalid reference format/, 'invalid-argument');
    await refused([digestOf('x')], /^No such image: sha256:/, 'not-found');
    const other = hostPlatform().architecture === 's390x' ? 'ppc64le' : 's390x';
    await refused(['app:1'], /^no suitable export target found for platform linux\//, 'not-found', {
      platforms: [{ os: 'linux', architecture: other }],
    });
    await unlink(fixture.content.path(digestOf(layers[0]!)));
    await refused(['app:1'], /its bytes are not in the store/, 'data-loss');
  }));

test('an image removed while it is saved stays whole until the save is over', () =>
  withImage(async (fixture, layers, config) => {
    const chunks = saveImages(fixture.stores, ['app:1'])[Symbol.asyncIterator]();
    const first = await chunks.next();
    await fixture.metadata.images.remove(digestOf(config));
    await fixture.metadata.collect();
    const rest = await readAll(chunks, 1 << 30);
    const archive = await members(Buffer.concat([first.value as Uint8Array, rest]));
    assert.deepEqual(archive.get(`blobs/sha256/${digestOf(layers[0]!).slice(7)}`)?.body, layers[0]);
    await fixture.metadata.collect();
    assert.deepEqual(await fixture.contents(), []);
  }));

test('a client that leaves ends the save', () =>
  withImage(async (fixture, _, config) => {
    for await (const chunk of saveImages(fixture.stores, ['app:1'])) if (chunk.length > 100_000) break;
    await fixture.metadata.images.remove(digestOf(config));
    await fixture.metadata.collect();
    assert.deepEqual(await fixture.contents(), []);
  }));

test('an index is saved with the platforms that are here, and loaded as it was: equal digests, and equal bytes when saved again', async () => {
  await using registry = await registryFixture();
  await using machine = await registry.machine();
  const { client } = registry;
  const reference = registry.reference('multi:1');
  const scratch = registry.reference('multi:scratch');
  const platforms = [hostPlatform(), ...['s390x', 'riscv64'].map((architecture) => ({ os: 'linux', architecture }))];
  const ids = [];
  const entries = [];
  for (const platform of platforms) {
    const { descriptor, configDigest } = await publish(client, scratch, [await randomLayer()], { platform });
    ids.push(configDigest);
    entries.push({ ...descriptor, platform });
  }
  const index = await publishIndex(client, reference, entries);
  for (const platform of platforms.slice(0, 2))
    await pullImage(machine.stores, reference, { platform, onProgress: () => {} });
  const name = `${registry.address}/multi:1`;
  const archive = await save(machine.fixture, [name]);
  const found = await members(archive);
  const listed = JSON.parse(found.get('index.json')!.body.toString()).manifests;
  assert.equal(listed.length, 1);
  assert.equal(listed[0].annotations['io.wherry.target'], index.digest);
  const readable = JSON.parse(found.get(blobPath(listed[0].digest))!.body.toString());
  assert.deepEqual(
    readable.manifests.map((entry: Descriptor) => entry.platform),
    platforms.slice(0, 2),
  );
  for (const entry of readable.manifests)
    for (const layer of JSON.parse(found.get(blobPath(entry.digest))!.body.toString()).layers)
      assert.ok(found.has(blobPath(layer.digest)));
  const [item, ...others] = JSON.parse(found.get('manifest.json')!.body.toString());
  assert.deepEqual([item.Config, others], [blobPath(ids[0]!), []]);

  await using other = await transferFixture();
  await loadImages(other.stores, fromBytes(archive), { onProgress: other.onProgress });
  assert.deepEqual(
    other.said.flatMap(({ stream }) => (stream?.startsWith('Loaded') ? [stream] : [])),
    [`Loaded image: ${name}\n`],
  );
  const { images } = other.metadata;
  const lead = images.byName(name)!;
  assert.equal(lead.id, ids[0]);
  assert.deepEqual(lead.target, index);
  assert.deepEqual(new Set(images.members(index.digest).map((image) => image.id)), new Set(ids.slice(0, 2)));
  assert.deepEqual(await other.verify(), []);
  assert.ok((await save(other, [name])).equals(archive));

  const one = await members(await save(machine.fixture, [name], { platforms: [platforms[1]!] }));
  assert.equal(JSON.parse(one.get('manifest.json')!.body.toString())[0].Config, blobPath(ids[1]!));
  await assert.rejects(
    save(machine.fixture, [name], { platforms: [platforms[2]!] }),
    /no suitable export target found/,
  );
  await using third = await transferFixture();
  await loadImages(third.stores, fromBytes(archive), { platforms: [platforms[1]!] });
  assert.deepEqual(
    third.metadata.images.list().map(({ id, names }) => [id, names]),
    [[ids[1], [name]]],
  );

  await pullImage(machine.stores, reference, { platform: platforms[2]!, onProgress: () => {} });
  const ends = [platforms[0]!, platforms[2]!];
  const two = await members(await save(machine.fixture, [name], { platforms: ends }));
  const indexOfTwo = JSON.parse(two.get('index.json')!.body.toString()).manifests[0].digest;
  const shown = JSON.parse(two.get(blobPath(indexOfTwo))!.body.toString()).manifests;
  assert.deepEqual(
    shown.map((entry: Descriptor) => entry.platform),
    ends,
  );
  await using fourth = await transferFixture();
  await loadImages(fourth.stores, fromBytes(await save(machine.fixture, [name])), { platforms: ends });
  assert.deepEqual(new Set(fourth.metadata.images.list().map(({ id }) => id)), new Set([ids[0], ids[2]]));
  const absent = { os: 'linux', architecture: 'mips64le' };
  await assert.rejects(
    save(machine.fixture, [name], { platforms: [ends[0]!, absent] }),
    /found for platform .*mips64le/,
  );
});
