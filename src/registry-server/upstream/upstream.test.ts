import assert from 'node:assert/strict';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';
import { digestOf, mediaTypes } from '#oci';
import { temporaryFolder } from '#testing';
import { decodeConfig } from '../config/config.ts';
import { serveRegistry } from '../index.ts';
import { type Call, callTo, codeOf, pushBlob, pushImage, pushManifest, type Reply } from '../testsuite/fixture.ts';
import { checkRule, upstreamOf } from './rules.ts';

/** How the upstream behaves just now. */
interface Mood {
  readonly asked: string[];
  answer?: ((request: IncomingMessage, response: ServerResponse) => boolean | Promise<boolean>) | undefined;
}

interface Pair {
  readonly origin: Call;
  readonly copy: Call;
  readonly mood: Mood;
}

async function withCopy(rule: object, body: (pair: Pair) => Promise<void>, more: object = {}): Promise<void> {
  await using folder = await temporaryFolder();
  const mood: Mood = { asked: [] };
  await using origin = await serveRegistry({
    root: join(folder.path, 'origin'),
    addr: '127.0.0.1:0',
    before: async (request, response) => {
      mood.asked.push(`${request.method} ${request.url}`);
      return (await mood.answer?.(request, response)) ?? false;
    },
  });
  const upstreams = [{ repositories: 'hub/*', upstream: `${origin.address}/*`, ...rule }];
  const config = decodeConfig({ upstreams, ...more }, { what: 'config', folder: folder.path });
  await using copy = await serveRegistry({ root: join(folder.path, 'copy'), addr: '127.0.0.1:0', config });
  await body({ origin: callTo(origin), copy: callTo(copy), mood });
}

const asked = ({ mood }: Pair, what: RegExp) => mood.asked.filter((line) => what.test(line)).length;
const unavailable: Mood['answer'] = (_, response) => {
  response.writeHead(503).end();
  return true;
};

test('what is asked for is fetched once, and then is here', () =>
  withCopy({}, async (pair) => {
    const { origin, copy, mood } = pair;
    const { text, digest } = await pushImage(origin, 'team/app', 'v1', { layer: 'x'.repeat(100_000) });
    mood.asked.length = 0;
    const got = await copy('GET', '/v2/hub/team/app/manifests/v1');
    assert.deepEqual([got.status, got.text, got.headers.get('docker-content-digest')], [200, text, digest]);
    const blob = `/v2/hub/team/app/blobs/${digestOf('x'.repeat(100_000))}`;
    assert.equal((await copy('HEAD', blob)).headers.get('content-length'), '100000');
    for (const _ of ['from upstream', 'from here']) assert.equal((await copy('GET', blob)).text, 'x'.repeat(100_000));
    assert.equal((await copy('GET', blob, { headers: { range: 'bytes=5-6' } })).text, 'xx');
    await copy('GET', '/v2/hub/team/app/manifests/v1');
    await copy('GET', `/v2/hub/team/app/manifests/${digest}`);
    assert.deepEqual([asked(pair, /manifests/), asked(pair, /GET .*blobs/)], [2, 1]);
    assert.deepEqual(JSON.parse((await copy('GET', '/v2/hub/team/app/tags/list')).text).tags, ['v1']);
    const byNamespace = await copy('GET', `/v2/team/app/manifests/v1?ns=hub`);
    assert.deepEqual([byNamespace.text, byNamespace.headers.get('oci-namespace')], [text, 'hub']);
    assert.equal(codeOf(await copy('POST', '/v2/hub/team/app/blobs/uploads/')), 'UNSUPPORTED');
    for (const path of ['hub/team/app/manifests/v9', 'hub/none/manifests/v1', `hub/team/app/blobs/${digestOf('no')}`]) {
      assert.equal((await copy('GET', `/v2/${path}`)).status, 404, path);
    }
  }));

test('many clients cost upstream one question and one blob', () =>
  withCopy({}, async (pair) => {
    const { origin, copy, mood } = pair;
    const layer = 'y'.repeat(300_000);
    await pushImage(origin, 'app', 'v1', { layer });
    mood.asked.length = 0;
    const manifests = await Promise.all(Array.from({ length: 20 }, () => copy('GET', '/v2/hub/app/manifests/v1')));
    assert.ok(manifests.every(({ status }) => status === 200));
    const blobs = await Promise.all(
      Array.from({ length: 20 }, () => copy('GET', `/v2/hub/app/blobs/${digestOf(layer)}`)),
    );
    assert.ok(blobs.every(({ text }) => text === layer));
    assert.deepEqual([asked(pair, /HEAD .*manifests/), asked(pair, /GET .*blobs/)], [1, 1]);
  }));

test('a tag is believed for its time, then asked about; while upstream is down the copy serves', () =>
  withCopy({ revalidateSeconds: 0 }, async (pair) => {
    const { origin, copy, mood } = pair;
    const first = await pushImage(origin, 'app', 'v1');
    const get = async (reference = 'v1') => await copy('GET', `/v2/hub/app/manifests/${reference}`);
    assert.equal((await get()).text, first.text);
    const second = await pushImage(origin, 'app', 'v1', { config: '{"new":1}' });
    assert.equal((await get()).text, second.text, 'the tag has moved');
    mood.answer = unavailable;
    const stale = await get();
    assert.deepEqual([stale.text, stale.headers.get('warning')], [second.text, '110 - "Response is Stale"']);
    assert.equal((await get(first.digest)).text, first.text, 'what has a digest needs no asking');
    const none = await get('v2');
    assert.deepEqual([none.status, none.headers.get('retry-after')], [502, '10']);
    assert.deepEqual(JSON.parse((await copy('GET', '/v2/hub/app/tags/list')).text).tags, ['v1']);
  }));

test('a tag that upstream no longer has goes here, too', () =>
  withCopy({ revalidateSeconds: 0 }, async ({ origin, copy }) => {
    await pushImage(origin, 'app', 'v1');
    assert.equal((await copy('GET', '/v2/hub/app/manifests/v1')).status, 200);
    await origin('DELETE', '/v2/app/manifests/v1');
    assert.equal((await copy('GET', '/v2/hub/app/manifests/v1')).status, 404);
  }));

/** Upstream sends a blob in two halves, the second when it is told to. */
function inHalves(bytes: string, goOn: Promise<void>): Mood['answer'] {
  return async ({ method, url = '' }, response) => {
    if (method !== 'GET' || !url.includes('/blobs/')) return false;
    response.writeHead(200, { 'content-length': bytes.length });
    response.write(bytes.slice(0, bytes.length / 2));
    await goOn;
    response.end(bytes.slice(bytes.length / 2));
    return true;
  };
}

test('the first client gets the beginning before the end has come', () =>
  withCopy({}, async ({ origin, copy, mood }) => {
    const layer = 'ab'.repeat(1 << 20);
    await pushImage(origin, 'app', 'v1', { layer });
    await copy('GET', '/v2/hub/app/manifests/v1');
    const { promise, resolve } = Promise.withResolvers<void>();
    mood.answer = inHalves(layer, promise);
    const seen = await firstBytes(copy, `/v2/hub/app/blobs/${digestOf(layer)}`);
    assert.equal(seen, 'abab');
    resolve();
    assert.equal((await copy('GET', `/v2/hub/app/blobs/${digestOf(layer)}`)).text.length, layer.length);
  }));

async function firstBytes(copy: Call, path: string): Promise<string> {
  const ranged: Reply = await copy('GET', path, { headers: { range: 'bytes=0-3' } });
  return ranged.text;
}

test('a blob that is not what its digest says is given to nobody whole, and not kept', () =>
  withCopy({}, async ({ origin, copy, mood }) => {
    await pushImage(origin, 'app', 'v1', { layer: 'z'.repeat(5000) });
    await copy('GET', '/v2/hub/app/manifests/v1');
    mood.answer = inHalves('q'.repeat(5000), Promise.resolve());
    const path = `/v2/hub/app/blobs/${digestOf('z'.repeat(5000))}`;
    await assert.rejects(copy('GET', path));
    delete mood.answer;
    assert.equal((await copy('GET', path)).text, 'z'.repeat(5000), 'the next try is a new one');
  }));

test('a stream that breaks goes on where it stopped', () =>
  withCopy({}, async (pair) => {
    const { origin, copy, mood } = pair;
    const layer = Array.from({ length: 100_000 }, (_, at) => `${at} `).join('');
    await pushImage(origin, 'app', 'v1', { layer });
    await copy('GET', '/v2/hub/app/manifests/v1');
    let broken = 0;
    mood.answer = ({ method, url = '' }, response) => {
      if (method !== 'GET' || !url.includes('/blobs/') || broken++ > 0) return false;
      response.writeHead(200, { 'content-length': layer.length });
      response.write(layer.slice(0, 200_000), () => setTimeout(() => response.destroy(), 50));
      return true;
    };
    assert.equal((await copy('GET', `/v2/hub/app/blobs/${digestOf(layer)}`)).text, layer);
    assert.equal(broken, 2);
  }));

test('rules map names', () => {
  const rule = (repositories: string, upstream: string) => ({ repositories, upstream, revalidateMs: 0 });
  const rules = [rule('docker.io/*', 'docker.io/*'), rule('tools/*', 'quay.io/team/*'), rule('one', 'ghcr.io/a/b')];
  const target = (name: string) => {
    const found = upstreamOf(rules, name)?.reference;
    return found && `${found.domain}/${found.path}`;
  };
  assert.deepEqual(
    ['docker.io/library/nginx', 'docker.io/nginx', 'tools/x/y', 'one', 'one/more', 'docker.io'].map(target),
    ['docker.io/library/nginx', 'docker.io/library/nginx', 'quay.io/team/x/y', 'ghcr.io/a/b', undefined, undefined],
  );
  for (const [left, right] of [
    ['a/*', 'b'],
    ['*/a', 'b/*'],
    ['a*b*', 'c*'],
  ] as const) {
    assert.throws(() => checkRule(rule(left, right)), { kind: 'invalid-argument' });
  }
});

test('what nobody pulls goes after its time, what somebody pulls stays, and both can be pulled again', () =>
  withCopy({ keepSeconds: 3 }, async (pair) => {
    const { origin, copy } = pair;
    await pushImage(origin, 'used', 'v1', { layer: 'used' });
    await pushImage(origin, 'left', 'v1', { layer: 'left' });
    await pushImage(copy, 'own', 'v1');
    const get = async (name: string) => (await copy('GET', `/v2/hub/${name}/manifests/v1`)).status;
    for (const name of ['used', 'left']) assert.equal(await get(name), 200);
    const names = async () => JSON.parse((await copy('GET', '/v2/_catalog')).text).repositories as string[];
    assert.deepEqual(await names(), ['hub/left', 'hub/used', 'own']);
    for (let tries = 0; tries < 100 && (await names()).includes('hub/left'); tries++) {
      assert.equal(await get('used'), 200);
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
    assert.deepEqual(await names(), ['hub/used', 'own'], 'only copies go');
    assert.equal(await get('left'), 200);
    assert.deepEqual(await names(), ['hub/left', 'hub/used', 'own']);
  }));

/** Something that refers to an image: a signature, say. */
async function pushReferrer(call: Call, name: string, subject: string, artifactType: string): Promise<string> {
  await pushBlob(call, name, '{}');
  const text = JSON.stringify({
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    artifactType,
    config: { mediaType: 'application/vnd.oci.empty.v1+json', digest: digestOf('{}'), size: 2 },
    layers: [],
    subject: { mediaType: mediaTypes.ociManifest, digest: subject, size: 1 },
    annotations: { 'org.example.of': artifactType },
  });
  const digest = digestOf(text);
  await pushManifest(call, name, digest, text);
  return digest;
}

interface Listed {
  readonly digest: string;
  readonly artifactType?: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

async function referrersOf(call: Call, name: string, digest: string, query = ''): Promise<readonly Listed[]> {
  const reply = await call('GET', `/v2/${name}/referrers/${digest}${query}`);
  assert.equal(reply.status, 200, reply.text);
  return (JSON.parse(reply.text) as { manifests: Listed[] }).manifests;
}

test('what refers to an image upstream is listed, filtered, and fetched', () =>
  withCopy({ revalidateSeconds: 0 }, async (pair) => {
    const { origin, copy, mood } = pair;
    const { digest } = await pushImage(origin, 'app', 'v1');
    assert.deepEqual(await referrersOf(copy, 'hub/app', digest), []);
    const signature = await pushReferrer(origin, 'app', digest, 'application/x.signature');
    const bill = await pushReferrer(origin, 'app', digest, 'application/x.sbom');
    const all = await referrersOf(copy, 'hub/app', digest);
    assert.deepEqual(
      all.map((one) => [one.digest, one.artifactType, one.annotations?.['org.example.of']]),
      [
        [signature, 'application/x.signature', 'application/x.signature'],
        [bill, 'application/x.sbom', 'application/x.sbom'],
      ],
    );
    const some = await referrersOf(copy, 'hub/app', digest, '?artifactType=application/x.sbom');
    assert.deepEqual(
      some.map((one) => one.digest),
      [bill],
    );
    assert.equal((await copy('GET', `/v2/hub/app/manifests/${signature}`)).status, 200);
    mood.answer = unavailable;
    assert.deepEqual(
      (await referrersOf(copy, 'hub/app', digest)).map((one) => one.digest),
      [signature],
      'what is here',
    );
  }));

test('of an upstream without referrers its tag is read; the answer is believed for its time', () =>
  withCopy({ revalidateSeconds: 60 }, async (pair) => {
    const { origin, copy, mood } = pair;
    const { digest } = await pushImage(origin, 'app', 'v1');
    const referrer = { mediaType: mediaTypes.ociManifest, digest, size: 7, artifactType: 'application/x.signature' };
    const index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [referrer] };
    await pushManifest(origin, 'app', digest.replace(':', '-'), JSON.stringify(index));
    mood.answer = ({ url = '' }, response) => {
      if (!url.includes('/referrers/')) return false;
      response.writeHead(404).end();
      return true;
    };
    for (const _ of ['asked', 'believed']) assert.deepEqual(await referrersOf(copy, 'hub/app', digest), [referrer]);
    assert.equal(asked(pair, /referrers/), 1);
  }));

test('an index of upstream brings its attestations when they are asked for', () =>
  withCopy({}, async ({ origin, copy }) => {
    const image = await pushImage(origin, 'app', 'v1');
    const attestation = await pushImage(origin, 'app', 'att', { layer: '{"_type":"in-toto"}' });
    const entry = (of: { digest: string; text: string }, more: object) => ({
      mediaType: mediaTypes.ociManifest,
      digest: of.digest,
      size: of.text.length,
      ...more,
    });
    const index = JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.ociIndex,
      manifests: [
        entry(image, { platform: { os: 'linux', architecture: 'amd64' } }),
        entry(attestation, {
          platform: { os: 'unknown', architecture: 'unknown' },
          annotations: {
            'vnd.docker.reference.digest': image.digest,
            'vnd.docker.reference.type': 'attestation-manifest',
          },
        }),
      ],
    });
    await pushManifest(origin, 'app', 'multi', index);
    assert.equal((await copy('GET', '/v2/hub/app/manifests/multi')).text, index);
    const got = await copy('GET', `/v2/hub/app/manifests/${attestation.digest}`);
    assert.equal(got.text, attestation.text);
    const layer = digestOf('{"_type":"in-toto"}');
    assert.equal((await copy('GET', `/v2/hub/app/blobs/${layer}`)).text, '{"_type":"in-toto"}');
  }));

test('copies take no more than they may: what was pulled longest ago goes, what is in use stays', () =>
  withCopy(
    { keepBytes: 250_000 },
    async ({ origin, copy }) => {
      const layer = (name: string) => name.padEnd(100_000, name);
      const pull = async (name: string) => {
        assert.equal((await copy('GET', `/v2/hub/${name}/manifests/v1`)).status, 200);
        assert.equal((await copy('GET', `/v2/hub/${name}/blobs/${digestOf(layer(name))}`)).status, 200);
      };
      for (const name of ['a', 'b', 'c']) await pushImage(origin, name, 'v1', { layer: layer(name) });
      await pushImage(copy, 'own', 'v1', { layer: layer('own').repeat(4) });
      const names = async () => JSON.parse((await copy('GET', '/v2/_catalog')).text).repositories as string[];
      await pull('a');
      await pull('b');
      await new Promise((resolve) => setTimeout(resolve, 2500));
      assert.deepEqual(await names(), ['hub/a', 'hub/b', 'own'], 'there is room for both');
      await pull('a');
      await pull('c');
      for (let tries = 0; tries < 100 && (await names()).includes('hub/b'); tries++) {
        assert.deepEqual(await names(), ['hub/a', 'hub/b', 'hub/c', 'own']);
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
      assert.deepEqual(await names(), ['hub/a', 'hub/c', 'own']);
      await pull('b');
    },
    { retention: { inUseSeconds: 2, undoSeconds: 0 } },
  ));
