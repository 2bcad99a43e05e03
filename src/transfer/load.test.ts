import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { packHeader } from '#archive';
import { type ErrorKind, isKind } from '#errdefs';
import { type Descriptor, digestOf, hostPlatform, mediaTypes } from '#oci';
import { fromBytes } from '#streams';
import { temporaryFolder } from '#testing';
import { loadImages } from './load.ts';
import {
  blobPath,
  configFor,
  inPieces,
  type Member,
  oldArchive,
  randomLayer,
  type TransferFixture,
  tarOf,
  transferFixture,
} from './testsuite-load.ts';

const other = { os: 'linux', architecture: hostPlatform().architecture === 's390x' ? 'ppc64le' : 's390x' };

function load({ stores, onProgress }: TransferFixture, archive: Buffer, options: object = {}) {
  return loadImages(stores, inPieces(archive), { onProgress, ...options });
}

async function refused(
  fixture: TransferFixture,
  archive: Buffer,
  message: RegExp,
  kind: ErrorKind = 'invalid-argument',
): Promise<void> {
  await assert.rejects(
    load(fixture, archive),
    (error: Error) => isKind(error, kind) && (message.test(error.message) || assert.fail(error.message)),
  );
  assert.deepEqual(await fixture.contents(), [], 'nothing is left behind');
}

test('an old docker save archive, in every compression', async () => {
  const layers = [await randomLayer(), await randomLayer()];
  const archive = await oldArchive(layers, ['busybox:1', 'example.org/x/y:2']);
  for (const bytes of [archive, gzipSync(archive), zstdCompressSync(archive)]) {
    await using fixture = await transferFixture();
    const id = digestOf(configFor(layers));
    assert.deepEqual(await load(fixture, bytes), [{ id, names: ['docker.io/library/busybox:1', 'example.org/x/y:2'] }]);
    const image = fixture.metadata.images.get(id)!;
    assert.equal(image.sizeBytes, layers[0]!.length + layers[1]!.length);
    assert.deepEqual(
      image.diffIDs,
      layers.map((layer) => digestOf(layer)),
    );
    assert.deepEqual(image.labels, { made: 'here' });
    assert.deepEqual(
      fixture.said.filter((line) => line.stream),
      [{ stream: 'Loaded image: busybox:1\n' }, { stream: 'Loaded image: example.org/x/y:2\n' }],
    );
    const progress = fixture.said.filter((line) => line.status === 'Loading layer');
    assert.deepEqual(progress.at(-1)?.progressDetail, { current: layers[1]!.length, total: layers[1]!.length });
    assert.match(progress.at(-1)!.progress!, /^\[=+>\] {2}[\d.]+kB\/[\d.]+kB$/);
    assert.deepEqual(await fixture.verify(), []);
  }
});

test('layers shared through symlinks, and a load repeated', async () => {
  await using fixture = await transferFixture();
  const layer = await randomLayer();
  const config = configFor([layer, layer]);
  const archive = await tarOf(
    ['./a/layer.tar', layer],
    { link: 'b/layer.tar', to: '../a/layer.tar' },
    ['c.json', config],
    ['manifest.json', JSON.stringify([{ Config: 'c.json', RepoTags: null, Layers: ['a/layer.tar', 'b/layer.tar'] }])],
  );
  const id = digestOf(config);
  assert.deepEqual(await load(fixture, archive), [{ id, names: [] }]);
  assert.deepEqual(fixture.said.at(-1), { stream: `Loaded image ID: ${id}\n` });
  const before = await fixture.contents();
  await load(fixture, archive, { quiet: true });
  assert.deepEqual(await fixture.contents(), before);
});

/** What dockerd 25 and newer write, and what any OCI tool does. */
async function layoutArchive(
  options: { compress?: boolean; manifestJson?: boolean; name?: string; second?: boolean } = {},
) {
  const layer = await randomLayer();
  const stored = options.compress ? gzipSync(layer) : layer;
  const config = configFor([layer]);
  const layerType = options.compress ? mediaTypes.ociLayerGzip : mediaTypes.ociLayer;
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      config: { mediaType: mediaTypes.ociConfig, digest: digestOf(config), size: config.length },
      layers: [{ mediaType: layerType, digest: digestOf(stored), size: stored.length }],
    }),
  );
  const described: Descriptor = {
    mediaType: mediaTypes.ociManifest,
    digest: digestOf(manifest),
    size: manifest.length,
    platform: hostPlatform(),
  };
  const absent: Descriptor = { ...described, digest: digestOf('absent'), platform: other };
  const index = Buffer.from(
    JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [absent, described] }),
  );
  const target = options.second
    ? { mediaType: mediaTypes.ociIndex, digest: digestOf(index), size: index.length }
    : described;
  const name = options.name ?? 'docker.io/library/app:1';
  const annotations = { 'org.opencontainers.image.ref.name': name };
  const members = [
    [blobPath(digestOf(stored)), stored],
    [blobPath(digestOf(config)), config],
    [blobPath(digestOf(manifest)), manifest],
    ...(options.second ? [[blobPath(digestOf(index)), index] as const] : []),
    ['index.json', JSON.stringify({ schemaVersion: 2, manifests: [{ ...target, annotations }] })],
    ['oci-layout', '{"imageLayoutVersion":"1.0.0"}'],
    ...(options.manifestJson
      ? [
          [
            'manifest.json',
            JSON.stringify([
              { Config: blobPath(digestOf(config)), RepoTags: ['app:9'], Layers: [blobPath(digestOf(stored))] },
            ]),
          ] as const,
        ]
      : []),
  ] as const;
  return { members, layer, stored, id: digestOf(config), target, manifest };
}

test('OCI layouts: plain and compressed layers, indexes, names', async () => {
  for (const options of [{}, { compress: true }, { second: true }, { compress: true, second: true }]) {
    await using fixture = await transferFixture();
    const { members, layer, stored, id, target, manifest } = await layoutArchive(options);
    assert.deepEqual(await load(fixture, await tarOf(...members)), [{ id, names: ['docker.io/library/app:1'] }]);
    const image = fixture.metadata.images.get(id)!;
    assert.equal(image.target.digest, target.digest);
    assert.equal(image.manifest.digest, digestOf(manifest));
    assert.equal(image.sizeBytes, layer.length);
    assert.equal('annotations' in image.target, false);
    if (options.compress) assert.equal(fixture.metadata.layers.byOrigin(digestOf(stored))?.diffID, digestOf(layer));
    assert.deepEqual(await fixture.verify(), []);
    // The second time no layer is read: its name tells which it is.
    fixture.said.length = 0;
    await load(fixture, await tarOf(...members));
    assert.deepEqual(fixture.said, [{ stream: 'Loaded image: app:1\n' }]);
  }
});

test('a layout with manifest.json: its names count, and the original manifest is kept', async () => {
  await using fixture = await transferFixture();
  const { members, id, target } = await layoutArchive({ compress: true, second: true, manifestJson: true });
  assert.deepEqual(await load(fixture, await tarOf(...members)), [{ id, names: ['docker.io/library/app:9'] }]);
  assert.equal(fixture.metadata.images.get(id)?.target.digest, target.digest);
  assert.deepEqual(await fixture.verify(), []);
});

test('a layer whose file was lost is taken again', async () => {
  await using fixture = await transferFixture();
  const { members, layer } = await layoutArchive();
  await load(fixture, await tarOf(...members));
  await unlink(fixture.content.path(digestOf(layer)));
  await load(fixture, await tarOf(...members));
  assert.deepEqual(await fixture.verify(), []);
});

test('a bare tag is no name', async () => {
  await using fixture = await transferFixture();
  const { members, id } = await layoutArchive({ name: 'latest' });
  assert.deepEqual(await load(fixture, await tarOf(...members)), [{ id, names: [] }]);
});

test('a name moves, and the loader says so; parents are linked; a platform filters', async () => {
  await using fixture = await transferFixture();
  const [base, top] = [await randomLayer(), await randomLayer()];
  const first = await load(fixture, await oldArchive([base], ['app:1']));
  const childConfig = configFor([base, top]);
  const manifest = [
    { Config: 'base.json', RepoTags: [], Layers: ['base.tar'] },
    { Config: 'child.json', RepoTags: ['app:1'], Layers: ['base.tar', 'top.tar'], Parent: first[0]!.id },
  ];
  const archive = await tarOf(
    ['base.json', configFor([base])],
    ['child.json', childConfig],
    ['base.tar', base],
    ['top.tar', top],
    ['manifest.json', JSON.stringify(manifest)],
  );
  await load(fixture, archive);
  assert.deepEqual(fixture.said.filter((line) => line.stream).slice(-2), [
    { stream: `The image app:1 already exists, renaming the old one with ID ${first[0]!.id} to empty string\n` },
    { stream: 'Loaded image: app:1\n' },
  ]);
  assert.deepEqual(fixture.metadata.images.childrenOf(first[0]!.id), [digestOf(childConfig)]);
  assert.deepEqual(await load(fixture, archive, { platforms: [other] }), []);
  assert.equal((await load(fixture, archive, { platforms: [hostPlatform()] })).length, 2);
});

test('what is no image archive is refused, and leaves nothing', async () => {
  await using fixture = await transferFixture();
  const layer = await randomLayer();
  const archive = await oldArchive([layer], ['x:1']);
  await refused(fixture, Buffer.alloc(0), /unrecognized image format/);
  await refused(fixture, Buffer.from('hello\n'), /unexpected EOF/);
  await refused(fixture, Buffer.alloc(4096, 'x'), /archive\/tar: invalid tar header/);
  await refused(fixture, await tarOf(['readme', 'hi']), /unrecognized image format: open manifest.json/);
  await refused(fixture, archive.subarray(0, archive.length / 2), /unexpected EOF/);
  await refused(fixture, gzipSync(archive).subarray(0, 9000), /unexpected EOF/);
  await refused(fixture, await tarOf(['../../etc/passwd', 'x']), /^invalid entry name "\.\.\/\.\.\/etc\/passwd"$/);
  await refused(fixture, await tarOf({ link: 'a', to: '../../b' }), /is outside of the archive/);
});

test('archives that contradict themselves are refused, and leave nothing', async () => {
  await using fixture = await transferFixture();
  const layer = await randomLayer();
  const config = configFor([layer]);
  const item = { Config: 'c.json', RepoTags: ['x:1'], Layers: ['l.tar'] };
  const archive = (manifest: unknown, ...members: readonly Member[]) =>
    tarOf(['manifest.json', typeof manifest === 'string' ? manifest : JSON.stringify(manifest)], ...members);
  const all = [
    ['c.json', config],
    ['l.tar', layer],
  ] as const;
  await refused(fixture, await archive('{bad'), /invalid manifest.json/);
  await refused(fixture, await archive({ x: 1 }), /want an array of images/);
  await refused(fixture, await archive([{ Config: 3 }]), /Config is missing/);
  await refused(fixture, await archive([item], all[1]), /^open c.json: no such file or directory$/);
  await refused(fixture, await archive([item], all[0]), /^open l.tar: no such file or directory$/);
  await refused(
    fixture,
    await archive([{ ...item, Layers: [] }], ...all),
    /invalid manifest, layers length mismatch: expected 0, got 1/,
  );
  await refused(
    fixture,
    await archive([item], all[0], ['l.tar', await randomLayer()]),
    /invalid diffID for layer 0: expected "sha256:[0-9a-f]+", got "sha256:[0-9a-f]+"/,
    'data-loss',
  );
  await refused(fixture, await archive([{ ...item, RepoTags: ['X:1'] }], ...all), /must be lowercase/);
  await refused(fixture, await archive([{ ...item, RepoTags: ['x'] }], ...all), /invalid tag "x"/);
  await refused(fixture, await archive([{ ...item, Config: '../c.json' }], ...all), /outside of the archive/);
  await refused(
    fixture,
    await archive([item], all[1], ['c.json', configFor([layer], { os: 'windows', architecture: 'amd64' })]),
    /cannot load windows image on linux/,
  );
  await refused(fixture, await archive([item], all[1], ['c.json', 'nope']), /c\.json|JSON|config/);
  await refused(
    fixture,
    await archive([item], all[0], { link: 'l.tar', to: 'm.tar' }, { link: 'm.tar', to: 'l.tar' }),
    /too many levels/,
  );
  assert.deepEqual(await load(fixture, await archive([])), []);
});

test('layouts with wrong digests or missing parts are refused, and leave nothing', async () => {
  await using fixture = await transferFixture();
  const { members, stored } = await layoutArchive({ compress: true });
  const without = (at: number) => tarOf(...members.filter((_, index) => index !== at));
  await refused(fixture, await without(0), /open blobs\/sha256\/[0-9a-f]+: no such file or directory/);
  await refused(fixture, await without(1), /not found/, 'not-found');
  await refused(fixture, await without(2), /open blobs\/sha256\/[0-9a-f]+: no such file or directory/);
  const damaged = gzipSync(await randomLayer());
  await refused(
    fixture,
    await tarOf([blobPath(digestOf(stored)), damaged], ...members.slice(1)),
    /digest/,
    'data-loss',
  );
  await refused(
    fixture,
    await tarOf(members[0]!, [members[1]![0], '{"os":"linux"}'], ...members.slice(2)),
    /do not have that digest/,
    'data-loss',
  );
});

test('absurd sizes are refused before they are held', async () => {
  await using fixture = await transferFixture();
  await refused(fixture, await tarOf(['manifest.json', `[${' '.repeat(9 << 20)}]`]), /larger than/);
  const many = Array.from({ length: 9 }, (_, index) => [`${index}.json`, `{${' '.repeat((8 << 20) - 10)}}`] as const);
  await refused(fixture, await tarOf(...many), /documents exceed/);
  const sbom = (at: number): Member => {
    const text = `{"_type":"https://in-toto.io/Statement/v0.1","at":${at}${' '.repeat(8_000_000)}}`;
    return [blobPath(digestOf(text)), text];
  };
  const layer = await randomLayer();
  const images = [
    ['c.json', configFor([layer])] as const,
    ['l.tar', layer] as const,
    ['manifest.json', JSON.stringify([{ Config: 'c.json', Layers: ['l.tar'] }])] as const,
  ];
  assert.equal((await load(fixture, await tarOf(...many.keys().map(sbom), ...images))).length, 1);
  const member = packHeader({ type: 'directory', path: 'd' });
  const members = Buffer.concat(new Array<Buffer>(100_001).fill(member));
  await assert.rejects(loadImages(fixture.stores, fromBytes(members)), /more than 100000 members/);
});

test('an abort in the middle leaves nothing', async () => {
  await using fixture = await transferFixture();
  const archive = await oldArchive([await randomLayer(3 << 20), await randomLayer(3 << 20)], ['x:1']);
  const controller = new AbortController();
  async function* slowly() {
    for await (const piece of inPieces(archive, 64 << 10)) {
      yield piece;
      readBytes += piece.length;
      if (readBytes > 5 << 20) controller.abort(new DOMException('enough', 'AbortError'));
    }
  }
  let readBytes = 0;
  await assert.rejects(loadImages(fixture.stores, slowly(), { signal: controller.signal }), (error) =>
    isKind(error, 'canceled'),
  );
  assert.deepEqual(await fixture.contents(), []);
});

/** Loads the archive in a process of its own; answers true when it was killed before it was done. */
async function loadAndKill(root: string, archive: string, afterMs: number): Promise<boolean> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'testdata/loader.ts'), root, archive], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  const timer = setTimeout(() => child.kill('SIGKILL'), afterMs);
  await once(child, 'exit');
  clearTimeout(timer);
  return child.signalCode === 'SIGKILL';
}

test('kill -9 in the middle of loads: the next start has the image whole, or nothing of it', async () => {
  await using folder = await temporaryFolder();
  const archive = join(folder.path, 'archive.tar');
  const layers = [await randomLayer(8 << 20), await randomLayer(8 << 20), await randomLayer()];
  await writeFile(archive, await oldArchive(layers, ['x:1']));
  let killed = 0;
  for (const afterMs of [5, 20, 40, 60, 90, 130]) {
    const root = join(folder.path, String(afterMs));
    if (await loadAndKill(root, archive, afterMs)) killed++;
    await using fixture = await transferFixture(root);
    await fixture.metadata.recover();
    assert.deepEqual(await fixture.verify(), []);
    const image = fixture.metadata.images.byName('docker.io/library/x:1');
    if (image) assert.equal(fixture.metadata.layers.list().length, 3);
    else assert.deepEqual(await fixture.contents(), []);
  }
  assert.ok(killed > 0, 'some loads were cut short');
});
