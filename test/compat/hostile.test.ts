import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { packHeader } from '#archive';
import { digestOf } from '#oci';
import { curl, filesOf, imageSetup, linkTar, load, type Setup, saveArchive, tarOf, verify } from './images-fixture.ts';

const layer = tarOf({ a: 'one', 'd/f': 'x'.repeat(5000) });
const other = tarOf({ b: 'two' });
const tags = ['hostile:1'];

/** The same work, and afterwards not a file, an image or a doubt more than before. */
async function leavesNothing(setup: Setup, work: () => Promise<void>): Promise<void> {
  const before = await filesOf(setup);
  await work();
  assert.equal(await setup.docker.ok('images', '-aq'), '');
  assert.deepEqual(await filesOf(setup), before);
  const checked = verify(setup);
  assert.equal(checked.status, 0, checked.output);
}

test('archives that are broken or attack are refused, the daemon lives on, and nothing is left', async (t) => {
  await using setup = await imageSetup(t);
  if (!setup) return;
  const { archive } = saveArchive({ layers: [layer, other], tags });
  const gzip = gzipSync(archive);
  const badSum = Buffer.from(gzip);
  badSum[badSum.length - 8]! ^= 0xff;
  const corrupt = Buffer.from(gzip);
  corrupt.fill(0xee, 200, 260);
  const save = (parts: Partial<Parameters<typeof saveArchive>[0]>) =>
    saveArchive({ layers: [layer], tags, ...parts }).archive;
  const inLayer = (bytes: Buffer) => save({ layers: [bytes] });
  const huge = Buffer.concat([
    packHeader({ type: 'file', path: 'huge', mode: 0o644, sizeBytes: 2 ** 40 }),
    Buffer.alloc(9000),
  ]);
  const cases: Record<string, [Buffer, RegExp]> = {
    empty: [Buffer.alloc(0), /manifest\.json: no such file or directory/],
    'no archive': [Buffer.from('hello\n'.repeat(1000)), /^archive\/tar: invalid tar header$/],
    truncated: [archive.subarray(0, 3000), /unexpected EOF|no such file/],
    'truncated gzip': [gzip.subarray(0, gzip.length - 100), /unexpected EOF/],
    'gzip of a truncated archive': [gzipSync(archive.subarray(0, 3000)), /unexpected EOF|no such file/],
    'gzip with a wrong sum': [badSum, /incorrect data check/],
    'corrupt gzip': [corrupt, /gzip|tar header/],
    'truncated zstd': [zstdCompressSync(archive).subarray(0, 200), /unexpected EOF/],
    'no manifest': [tarOf({ x: 'y' }), /manifest\.json: no such file or directory/],
    'invalid JSON': [tarOf({ 'manifest.json': '{bad' }), /invalid manifest\.json/],
    'null manifest': [tarOf({ 'manifest.json': 'null' }), /manifest cannot be null/],
    'wrong types': [tarOf({ 'manifest.json': '[{"Config":3}]' }), /Config/],
    'config missing': [
      save({ manifest: [{ Config: 'no.json', RepoTags: tags, Layers: [] }] }),
      /^open no\.json: no such file/,
    ],
    'config climbs': [
      save({ manifest: [{ Config: '../../../etc/passwd', RepoTags: tags, Layers: [] }] }),
      /outside of the archive/,
    ],
    'config without rootfs': [save({ config: '{}' }), /^invalid image JSON, no RootFS key$/],
    'layer count': [
      save({ config: JSON.stringify({ os: 'linux', rootfs: { type: 'layers', diff_ids: [] } }) }),
      /layers length mismatch: expected 1, got 0/,
    ],
    'wrong diffID': [
      save({ config: JSON.stringify({ os: 'linux', rootfs: { type: 'layers', diff_ids: [digestOf(other)] } }) }),
      /^invalid diffID for layer 0: expected "sha256:/,
    ],
    'other system': [
      save({ config: JSON.stringify({ os: 'windows', rootfs: { type: 'layers', diff_ids: [digestOf(layer)] } }) }),
      /^cannot load windows image on linux$/,
    ],
    'bad tag': [save({ tags: ['Hostile:1'] }), /must be lowercase/],
    'no tag': [save({ tags: ['hostile'] }), /^invalid tag "hostile"$/],
    'entry climbs': [tarOf({ '../../evil': 'x' }), /^invalid entry name "\.\.\/\.\.\/evil"$/],
    'hardlink climbs': [
      linkTar('hardlink', 'l', '../../etc/passwd'),
      /^invalid hardlink target "\.\.\/\.\.\/etc\/passwd"$/,
    ],
    'layer climbs': [inLayer(tarOf({ '../../evil': 'x' })), /^invalid entry name "\.\.\/\.\.\/evil"$/],
    'layer links out': [inLayer(linkTar('hardlink', 'l', '../../../../etc/passwd')), /^invalid hardlink target/],
    'layer links to nothing': [
      inLayer(linkTar('hardlink', 'l', 'missing')),
      /^linkat missing l: no such file or directory$/,
    ],
    'truncated layer': [inLayer(layer.subarray(0, 3000)), /^unexpected EOF$/],
    'absurd size': [huge, /unexpected EOF/],
    'absurd size in a layer': [inLayer(huge), /unexpected EOF/],
  };
  await leavesNothing(setup, async () => {
    for (const [what, [bytes, message]] of Object.entries(cases)) {
      const path = join(setup.folder, 'bad.tar');
      await writeFile(path, bytes);
      const ran = await setup.docker.run(['load', '-i', path]);
      assert.equal(ran.status, 1, what);
      assert.match(ran.stderr.trim(), message, what);
    }
  });
});

test("a layer that links outside stays inside: absolute paths and symlinks are the container's own", async (t) => {
  await using setup = await imageSetup(t);
  if (!setup) return;
  const { docker } = setup;
  const escapes = Buffer.concat([
    linkTar('symlink', 'out', '/tmp').subarray(0, 512),
    tarOf({ 'out/wherry-evil': 'x', '/wherry-evil': 'y' }),
  ]);
  await load(setup, { layers: [escapes], tags });
  const container = (await docker.ok('create', '--network', 'none', tags[0]!)).trim();
  const exported = join(setup.folder, 'out.tar');
  await docker.ok('export', '-o', exported, container);
  for (const path of ['/tmp/wherry-evil', '/wherry-evil']) {
    await assert.rejects(
      import('node:fs/promises').then(({ stat }) => stat(path)),
      /ENOENT/,
    );
  }
  await docker.ok('rm', container);
  await docker.ok('rmi', tags[0]!);
  assert.equal(verify(setup).status, 0);
});

test("requests that make no sense get Docker's status and words", async (t) => {
  await using setup = await imageSetup(t);
  if (!setup) return;
  const json = ['-H', 'Content-Type: application/json', '-d'];
  const cases: [method: string, path: string, args: string[], status: number, message: RegExp][] = [
    [
      'GET',
      '/images/UPPER/json',
      [],
      400,
      /^invalid reference format: repository name \(library\/UPPER\) must be lowercase$/,
    ],
    ['GET', `/images/${'0'.repeat(64)}/json`, [], 404, /^No such image: sha256:0+$/],
    ['GET', '/images/json?filters=notjson', [], 400, /^invalid filter/],
    ['POST', '/images/nope/tag?repo=x&tag=-', [], 400, /^invalid tag format$/],
    ['POST', '/images/create?fromImage=UPPER', [], 400, /must be lowercase/],
    ['POST', '/images/create?fromImage=x&tag=-', [], 400, /^invalid tag format$/],
    ['POST', '/images/load?platform=x', [], 400, /^failed to parse platform/],
    [
      'POST',
      '/build/prune?filters=%7B%22x%22%3A%5B%22y%22%5D%7D',
      [],
      400,
      /^failed to prune build cache: invalid filter 'x'$/,
    ],
    [
      'POST',
      '/images/prune?filters=%7B%22dangling%22%3A%5B%22maybe%22%5D%7D',
      [],
      400,
      /^invalid filter 'dangling=\[maybe\]'$/,
    ],
    ['POST', '/commit', [...json, '{bad'], 400, /^invalid JSON: invalid character 'b' looking for beginning/],
    ['POST', '/containers/create', [...json, '{"Image":"nope"}'], 404, /^No such image: nope:latest$/],
    ['POST', '/containers/create', [...json, '{"Image":3}'], 400, /cannot unmarshal number/],
    ['GET', '/distribution/UPPER/json', [], 400, /must be lowercase/],
    ['DELETE', '/images/nope', [], 404, /^No such image: nope:latest$/],
  ];
  await leavesNothing(setup, async () => {
    for (const [method, path, args, status, message] of cases) {
      const answer = await curl(setup, method, path, ...args);
      assert.equal(answer.status, status, `${method} ${path}: ${answer.body}`);
      assert.match(JSON.parse(answer.body).message, message);
    }
  });
});

test('an upload that never ends, or breaks off, does not hold up the rest', async (t) => {
  await using setup = await imageSetup(t);
  if (!setup) return;
  const upload = (path: string, type: string) => {
    const call = request({
      socketPath: setup.daemon.host.slice(7),
      method: 'POST',
      path,
      headers: { 'Content-Type': type },
    });
    call.on('error', () => {});
    return call;
  };
  await leavesNothing(setup, async () => {
    const endless = upload('/v1.51/images/load', 'application/x-tar');
    endless.write(packHeader({ type: 'file', path: 'layer.tar', mode: 0o644, sizeBytes: 2 ** 40 }));
    const feeding = setInterval(() => endless.write(Buffer.alloc(1 << 20)), 5);
    const body = upload('/v1.51/containers/create', 'application/json');
    body.write(`{"Image":"${'x'.repeat(1 << 20)}`);
    for (let round = 0; round < 20; round++) {
      const started = performance.now();
      assert.equal((await curl(setup, 'GET', '/_ping')).status, 200);
      assert.ok(performance.now() - started < 2000);
    }
    clearInterval(feeding);
    endless.destroy();
    body.destroy();
    const tooLong = upload('/v1.51/containers/create', 'application/json');
    const answered = once(tooLong, 'response') as Promise<[{ statusCode?: number }]>;
    const closed = once(tooLong, 'close');
    for (let mebibytes = 0; mebibytes < 24 && !tooLong.destroyed; mebibytes++) {
      tooLong.write(mebibytes === 0 ? `{"Image":"${'x'.repeat(1 << 20)}` : 'x'.repeat(1 << 20));
    }
    const refused = await Promise.race([answered.then(([response]) => response.statusCode), closed.then(() => 400)]);
    assert.equal(refused, 400);
    tooLong.destroy();
    await settled(setup);
  });
});

/** A daemon that was hung up on gives its unfinished files back a moment later. */
async function settled(setup: Setup): Promise<void> {
  for (let tries = 0; tries < 40; tries++) {
    const files = await filesOf(setup);
    if (!files.some((path) => /(?:ingest|tmp|layers)\/./.test(path))) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

type Lie = (path: string, response: ServerResponse) => void;

const manifestType = 'application/vnd.oci.image.manifest.v1+json';

test('a registry that lies is not believed', async (t) => {
  await using setup = await imageSetup(t);
  if (!setup) return;
  const config = JSON.stringify({
    os: 'linux',
    architecture: process.arch === 'arm64' ? 'arm64' : 'amd64',
    rootfs: { type: 'layers', diff_ids: [digestOf(layer)] },
  });
  const blob = gzipSync(layer);
  const manifestOf = (over: { diffConfig?: string; layerSize?: number } = {}) =>
    JSON.stringify({
      schemaVersion: 2,
      mediaType: manifestType,
      config: {
        mediaType: 'application/vnd.oci.image.config.v1+json',
        digest: digestOf(over.diffConfig ?? config),
        size: (over.diffConfig ?? config).length,
      },
      layers: [
        {
          mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
          digest: digestOf(blob),
          size: over.layerSize ?? blob.length,
        },
      ],
    });
  const wrongConfig = config.replace(digestOf(layer), digestOf(other));
  const serve =
    (manifest: string, blobs: Record<string, Uint8Array | string>): Lie =>
    (path, response) => {
      const document = /\/manifests\//.test(path) ? manifest : blobs[path.split('/').at(-1) ?? ''];
      if (path === '/v2/') response.writeHead(200).end();
      else if (document === undefined) response.writeHead(404).end('{"errors":[{"code":"BLOB_UNKNOWN"}]}');
      else
        response
          .writeHead(200, { 'Content-Type': manifestType, 'Docker-Content-Digest': digestOf(manifest) })
          .end(document);
    };
  const honest = { [digestOf(config)]: config, [digestOf(blob)]: blob };
  const flipped = Buffer.from(blob);
  flipped[flipped.length - 5]! ^= 0xff;
  const lies: Record<string, Lie> = {
    'a layer of other bytes': serve(manifestOf(), { ...honest, [digestOf(blob)]: gzipSync(other) }),
    'a layer with one bit wrong': serve(manifestOf(), { ...honest, [digestOf(blob)]: flipped }),
    'a config of other bytes': serve(manifestOf(), { ...honest, [digestOf(config)]: config.replace('linux', 'linus') }),
    'a config for other layers': serve(manifestOf({ diffConfig: wrongConfig }), {
      ...honest,
      [digestOf(wrongConfig)]: wrongConfig,
    }),
    'a layer that is not there': serve(manifestOf(), { [digestOf(config)]: config }),
    'no manifest but a page': serve('<html>', honest),
    'a manifest of nonsense': serve('{"schemaVersion":2,"layers":3}', honest),
    'a manifest with another digest': (path, response) => {
      if (path === '/v2/') return void response.writeHead(200).end();
      response
        .writeHead(200, { 'Content-Type': manifestType, 'Docker-Content-Digest': digestOf('other') })
        .end(manifestOf());
    },
    'a failure': (_path, response) => void response.writeHead(400).end('no'),
  };
  await leavesNothing(setup, async () => {
    for (const [what, lie] of Object.entries(lies)) {
      const server = createServer((incoming, response) => lie(incoming.url ?? '', response)).listen(0, '127.0.0.1');
      await once(server, 'listening');
      const ran = await setup.docker.run(['pull', `127.0.0.1:${(server.address() as AddressInfo).port}/app:1`]);
      server.closeAllConnections();
      server.close();
      assert.equal(ran.status, 1, `${what}: ${ran.stdout}`);
      // What did arrive whole is kept for the next try, which then would not ask for it.
      await setup.docker.ok('image', 'prune', '-f');
      assert.notEqual(ran.stderr.trim(), '', what);
    }
  });
});
