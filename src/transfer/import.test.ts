import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { isKind } from '#errdefs';
import { readConfig } from '#image';
import { digestOf, hostPlatform } from '#oci';
import { parseReference } from '#reference';
import { importImage } from './import.ts';
import { inPieces, randomLayer, transferFixture } from './testsuite-load.ts';

const name = 'docker.io/library/root:1';
const hasXz = spawnSync('xz', ['--version']).status === 0;

test('a root filesystem becomes an image, whatever it is compressed with', async (t) => {
  const layer = await randomLayer();
  const forms = [layer, gzipSync(layer), zstdCompressSync(layer)];
  if (hasXz) forms.push(spawnSync('xz', ['-c'], { input: layer }).stdout);
  else t.diagnostic('xz is not installed: not tried');
  for (const bytes of forms) {
    await using fixture = await transferFixture();
    const image = await importImage(fixture.stores, inPieces(bytes), { reference: parseReference('root:1') });
    assert.deepEqual(image.names, [name]);
    const record = fixture.metadata.images.byName(name)!;
    assert.deepEqual(record.diffIDs, [digestOf(layer)]);
    assert.equal(record.sizeBytes, layer.length);
    const config = await readConfig(fixture.content, image.id);
    assert.deepEqual(
      config.history?.map((entry) => entry.comment),
      ['Imported from -'],
    );
    assert.equal(config.architecture, hostPlatform().architecture);
    assert.deepEqual(await fixture.verify(), []);
  }
});

test('message, origin, platform and changes', async () => {
  await using fixture = await transferFixture();
  const { id, names } = await importImage(fixture.stores, inPieces(await randomLayer()), {
    message: 'by hand',
    platform: { os: 'linux', architecture: 'arm64', variant: 'v9' },
    applyChanges: (config) => ({ ...config, Cmd: ['/bin/sh'] }),
  });
  assert.deepEqual(names, []);
  const config = await readConfig(fixture.content, id);
  assert.deepEqual(config.config, { Cmd: ['/bin/sh'] });
  assert.equal(config.history?.[0]?.comment, 'by hand');
  assert.equal(config.variant, 'v9');
  const remote = await importImage(fixture.stores, inPieces(Buffer.alloc(0)), { origin: 'http://x/y.tar' });
  const empty = await readConfig(fixture.content, remote.id);
  assert.equal(empty.history?.[0]?.comment, 'Imported from http://x/y.tar');
  assert.deepEqual(empty.rootfs.diff_ids, [digestOf('')]);
});

test('what is no tar is refused and leaves nothing; so does a bad change, before anything is read', async () => {
  await using fixture = await transferFixture();
  const layer = await randomLayer();
  const broken = [
    Buffer.from('hello\n'),
    Buffer.alloc(4096, 'x'),
    layer.subarray(0, 9000),
    gzipSync(layer).subarray(0, 9000),
  ];
  if (hasXz) broken.push(spawnSync('xz', ['-c'], { input: layer }).stdout.subarray(0, 9000));
  for (const bytes of broken) {
    await assert.rejects(importImage(fixture.stores, inPieces(bytes)), (error) => isKind(error, 'invalid-argument'));
    assert.deepEqual(await fixture.contents(), []);
  }
  let pulled = false;
  async function* source() {
    pulled = true;
    yield layer;
  }
  const applyChanges = () => {
    throw new Error('RUN is not a valid change command');
  };
  await assert.rejects(importImage(fixture.stores, source(), { applyChanges }), /not a valid change/);
  assert.equal(pulled, false);
});

test('a source that fails takes its xz with it', { skip: hasXz ? false : 'xz is not installed' }, async () => {
  await using fixture = await transferFixture();
  const bytes = spawnSync('xz', ['-c'], { input: await randomLayer() }).stdout;
  async function* source() {
    yield bytes.subarray(0, 5000);
    throw new Error('the connection broke');
  }
  await assert.rejects(importImage(fixture.stores, source()), /the connection broke/);
  assert.deepEqual(await fixture.contents(), []);
});

test('a tool that is not installed is named', async () => {
  await using fixture = await transferFixture();
  const path = process.env['PATH'];
  process.env['PATH'] = '/nowhere';
  try {
    const bytes = Buffer.concat([Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]), Buffer.alloc(100_000)]);
    await assert.rejects(importImage(fixture.stores, inPieces(bytes)), /xz is not installed/);
  } finally {
    process.env['PATH'] = path;
  }
});
