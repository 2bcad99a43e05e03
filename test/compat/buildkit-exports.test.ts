/** What becomes of a build's result: files at the client, archives, names, in several ways at once. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readTar } from '#archive';
import { connect } from '#client';
import { requireRoot } from '#testing';
import { FileSend, FileSync } from '../../src/buildkit/proto/filesync_pb.ts';
import { BuildKitClient } from '../support/buildkit-client.ts';
import { TestDaemon } from '../support/daemon.ts';
import { SentBytes, SentFolder } from '../support/sent-files.ts';
import { SyncedFiles } from '../support/synced-files.ts';

const dockerfile = 'FROM scratch AS low\nCOPY --chown=5:6 --chmod=4750 a /dir/a\nFROM low\nCOPY b /b\nENV x=y\n';

async function withDaemon(
  t: Parameters<typeof requireRoot>[0],
  work: (parts: {
    build: (
      sent: SentFolder | SentBytes,
      exporters: { type: string; attributes?: Record<string, string> }[],
    ) => Promise<Record<string, string>>;
    engine: ReturnType<typeof connect>;
  }) => Promise<void>,
): Promise<void> {
  if (!requireRoot(t)) return;
  await using daemon = await TestDaemon.start({ flags: ['--bridge=none', '--iptables=false'] });
  await using client = await BuildKitClient.connect(daemon.host);
  await using engine = connect(daemon.host);
  await work({
    engine,
    async build(sent, exporters) {
      const files = new SyncedFiles({ Dockerfile: dockerfile, a: 'alpha', b: 'beta' });
      const session = await client.serve([FileSync, FileSend], (router) => {
        files.route(router);
        sent.route(router);
      });
      return await client.build(session, { exporters: exporters.map((one) => ({ attributes: {}, ...one })) });
    },
  });
}

async function namesIn(tar: Buffer): Promise<Map<string, { content: string; uid: number; mode: number }>> {
  const found = new Map();
  async function* source() {
    yield tar;
  }
  for await (const item of readTar(source())) {
    const parts: Uint8Array[] = [];
    if (item.type === 'file') for await (const chunk of item.body) parts.push(Buffer.from(chunk));
    found.set(item.path, { content: Buffer.concat(parts).toString(), uid: item.uid, mode: item.mode });
  }
  return found;
}

test('files of the result go into the folder of the client, as they are and where it says', async (t) => {
  await withDaemon(t, async ({ build, engine }) => {
    const folder = new SentFolder();
    assert.deepEqual(await build(folder, [{ type: 'local' }]), {});
    assert.deepEqual([...folder.files.keys()], ['b', 'dir', 'dir/a']);
    assert.deepEqual(folder.exporters, ['0']);
    assert.deepEqual(await engine.images.list(), [], 'what was wanted are files, not an image');
    const a = folder.files.get('dir/a');
    assert.equal(a?.content, 'alpha');
    assert.deepEqual([a?.stat.uid, a?.stat.gid, a?.stat.mode], [5, 6, 2 ** 23 + 0o750]);
    const split = new SentFolder();
    await build(split, [{ type: 'local', attributes: { 'platform-split': 'true' } }]);
    await build(new SentBytes(), [{ type: 'moby' }]);
    assert.equal((await engine.images.list()).length, 1);
    assert.match([...split.files.keys()].join(' '), /^linux_\w+ linux_\w+\/b linux_\w+\/dir linux_\w+\/dir\/a$/);
  });
});

test('a tar of the files, and archives that other engines load', async (t) => {
  await withDaemon(t, async ({ build, engine }) => {
    const tar = new SentBytes();
    await build(tar, [{ type: 'tar' }]);
    const files = await namesIn(tar.bytes);
    assert.deepEqual([...files.keys()], ['b', 'dir/', 'dir/a']);
    assert.deepEqual(files.get('dir/a'), { content: 'alpha', uid: 5, mode: 0o4750 });

    const oci = new SentBytes();
    const answer = await build(oci, [{ type: 'oci', attributes: { name: 'laid/out:7', compression: 'zstd' } }]);
    const layout = await namesIn(oci.bytes);
    const index = JSON.parse(layout.get('index.json')!.content);
    assert.equal(index.manifests[0].digest, answer['containerimage.digest']);
    assert.equal(index.manifests[0].annotations['io.containerd.image.name'], 'docker.io/laid/out:7');
    assert.equal(oci.metadata['containerimage.digest'], answer['containerimage.digest']);
    const manifest = JSON.parse(layout.get(`blobs/sha256/${index.manifests[0].digest.slice(7)}`)!.content);
    assert.deepEqual(
      manifest.layers.map(({ mediaType }: { mediaType: string }) => mediaType.split('.').at(-1)),
      ['tar+zstd', 'tar+zstd'],
    );
    await assert.rejects(engine.images.inspect('laid/out:7'), /No such image/);

    const docker = new SentBytes();
    await build(docker, [{ type: 'docker', attributes: { name: 'loaded:1' } }]);
    async function* archive() {
      yield docker.bytes;
    }
    for await (const _line of engine.images.load(archive()));
    assert.deepEqual((await engine.images.inspect('loaded:1')).Config?.Env?.includes('x=y'), true);
  });
});

test('several at once, each at its place; what nobody can make is refused before anything runs', async (t) => {
  await withDaemon(t, async ({ build, engine }) => {
    const tar = new SentBytes();
    const answer = await build(tar, [
      { type: 'moby', attributes: { name: 'both:1' } },
      { type: 'tar', attributes: {} },
    ]);
    assert.equal((await engine.images.inspect('both:1')).Id, answer['containerimage.config.digest']);
    assert.ok((await namesIn(tar.bytes)).has('b'));
    for (const [type, attributes, words] of [
      ['nosuch', {}, /exporter "nosuch" could not be found/],
      ['local', { frob: '1' }, /exporter local: the attribute frob is not supported/],
      ['oci', { compression: 'estargz' }, /compression estargz is not supported/],
      ['oci', { compression: 'lz4' }, /unsupported layer compression type lz4/],
      ['oci', { tar: 'false' }, /tar=false/],
      ['local', { 'platform-split': 'perhaps' }, /non-bool value for platform-split: perhaps/],
      ['image', { push: 'true' }, /tag is needed when pushing to registry/],
      ['image', { 'push-by-digest': 'true', name: 'x' }, /push-by-digest is not supported/],
    ] as const) {
      await assert.rejects(build(new SentBytes(), [{ type, attributes }]), words);
    }
  });
});
