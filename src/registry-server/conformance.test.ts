/**
 * distribution-spec's conformance, case by case under its names where they say something: what the other tests of the server do not ask already.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { digestOf, mediaTypes } from '#oci';
import { type Call, codeOf, pushBlob, pushImage, pushManifest, withServer } from './testsuite/fixture.ts';

const octets = { 'content-type': 'application/octet-stream' };
const sha512 = (text: string) => `sha512:${createHash('sha512').update(text).digest('hex')}`;
const empty = { mediaType: 'application/vnd.oci.empty.v1+json', digest: digestOf('{}'), size: 2 };

async function begin(call: Call, name = 'app'): Promise<string> {
  return (await call('POST', `/v2/${name}/blobs/uploads/`)).headers.get('location')!;
}

function patch(call: Call, location: string, body: string, first?: number) {
  const range = first === undefined ? {} : { 'content-range': `${first}-${first + body.length - 1}` };
  return call('PATCH', location, { body, headers: { ...octets, ...range } });
}

function put(call: Call, location: string, digest: string, body = '', first?: number) {
  const range = first === undefined ? {} : { 'content-range': `${first}-${first + body.length - 1}` };
  return call('PUT', `${location}?digest=${digest}`, { body, headers: { ...octets, ...range } });
}

for (const [algorithm, digest] of [
  ['sha256', digestOf],
  ['sha512', sha512],
] as const) {
  test(`${algorithm} blobs: the last chunk may come with the PUT, and an empty blob is one`, () =>
    withServer(async ({ call }) => {
      const location = await begin(call);
      assert.equal((await patch(call, location, 'first,', 0)).status, 202);
      assert.equal((await patch(call, location, 'second,', 6)).status, 202);
      const whole = digest('first,second,third');
      assert.equal((await put(call, location, whole, 'third', 13)).status, 201);
      assert.equal((await call('GET', `/v2/app/blobs/${whole}`)).text, 'first,second,third');
      for (const text of ['', '{}']) {
        assert.equal((await put(call, await begin(call), digest(text), text)).status, 201);
        const head = await call('HEAD', `/v2/app/blobs/${digest(text)}`);
        assert.deepEqual([head.status, head.headers.get('content-length')], [200, `${text.length}`]);
        assert.equal((await call('GET', `/v2/app/blobs/${digest(text)}`)).text, text);
        assert.equal((await call('DELETE', `/v2/app/blobs/${digest(text)}`)).status, 202);
        assert.equal((await call('GET', `/v2/app/blobs/${digest(text)}`)).status, 404);
      }
    }));

  test(`${algorithm} blobs: a chunk out of order, in the PUT too, is refused, and the upload goes on`, () =>
    withServer(async ({ call }) => {
      const location = await begin(call);
      await patch(call, location, 'first,', 0);
      assert.equal((await patch(call, location, 'third', 13)).status, 416);
      assert.equal((await put(call, location, digest('first,second'), 'second', 9)).status, 416);
      const status = await call('GET', location);
      assert.deepEqual([status.status, status.headers.get('range')], [204, '0-5']);
      const next = status.headers.get('location')!;
      assert.equal((await put(call, next, digest('first,second'), 'second', 6)).status, 201);
    }));

  test(`${algorithm} blobs: a bad digest is refused, however the blob came`, () =>
    withServer(async ({ call }) => {
      const wrong = digest('what was meant');
      const post = await call('POST', `/v2/app/blobs/uploads/?digest=${wrong}`, { body: 'other', headers: octets });
      const chunked = await begin(call);
      await patch(call, chunked, 'oth', 0);
      const lastInPut = await begin(call);
      await patch(call, lastInPut, 'oth', 0);
      const streamed = await begin(call);
      await patch(call, streamed, 'other');
      const answers = [
        post,
        await put(call, await begin(call), wrong, 'other'),
        await put(call, chunked, wrong),
        await put(call, lastInPut, wrong, 'er', 3),
        await put(call, streamed, wrong),
      ];
      for (const answer of answers) assert.deepEqual([answer.status, codeOf(answer)], [400, 'DIGEST_INVALID']);
      assert.equal((await call('HEAD', `/v2/app/blobs/${wrong}`)).status, 404);
    }));
}

test('ranges that are none, and blobs that are not there', () =>
  withServer(async ({ call }) => {
    const digest = await pushBlob(call, 'app', 'x'.repeat(2048));
    for (const range of ['bytes=500-0', 'bytes=5000-10000']) {
      assert.equal((await call('GET', `/v2/app/blobs/${digest}`, { headers: { range } })).status, 416, range);
    }
    for (const method of ['GET', 'HEAD']) {
      assert.equal((await call(method, `/v2/app/blobs/${digestOf('absent')}`)).status, 404, method);
    }
  }));

/** Manifests that registries have to take, with what they refer to. */
function documents(config: object, layer: object, image: object): Readonly<Record<string, object>> {
  const manifest = { schemaVersion: 2, mediaType: mediaTypes.ociManifest, config, layers: [layer] };
  const index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [image] };
  const absent = { mediaType: mediaTypes.ociManifest, digest: digestOf('absent'), size: 6 };
  const foreign = {
    ...{ mediaType: 'application/vnd.oci.image.layer.nondistributable.v1.tar', digest: digestOf('far'), size: 3 },
    urls: ['https://registry.invalid/far'],
  };
  return {
    'no layers': { ...manifest, layers: [] },
    'large manifest': { ...manifest, annotations: { large: 'x'.repeat(3 << 20) } },
    'artifact without layers': { ...manifest, artifactType: 'application/x.a', config: empty, layers: [empty] },
    artifact: { ...manifest, artifactType: 'application/x.a', config: empty },
    'missing subject': { ...manifest, subject: absent },
    'non-distributable layers': { ...manifest, layers: [layer, foreign] },
    'data field': { ...manifest, config: { ...empty, data: 'e30=' } },
    'custom fields': { ...manifest, 'org.example.own': { deep: [1, 'two'] }, config: { ...config, own: true } },
    'empty index': { ...index, manifests: [] },
    'artifact index': { ...index, artifactType: 'application/x.a' },
    'index with subject': { ...index, subject: image },
  };
}

test('manifests of every kind come back byte for byte, by tag and by digest, and go', () =>
  withServer(async ({ call }) => {
    const image = await pushImage(call, 'app', 'image');
    await pushBlob(call, 'app', '{}');
    const { config, layers } = JSON.parse(image.text) as { config: object; layers: [object] };
    const entry = { mediaType: mediaTypes.ociManifest, digest: image.digest, size: image.text.length };
    const all = documents(config, layers[0], entry);
    for (const [at, [name, document]] of Object.entries(all).entries()) {
      const text = JSON.stringify(document, undefined, 2);
      const pushed = await pushManifest(call, 'app', `t${at}`, text);
      const { subject } = document as { subject?: { digest: string } };
      assert.equal(pushed.headers.get('oci-subject'), subject?.digest ?? null, name);
      for (const reference of [`t${at}`, digestOf(text)]) {
        const path = `/v2/app/manifests/${reference}`;
        assert.equal((await call('GET', path)).text, text, name);
        const head = await call('HEAD', path);
        assert.deepEqual([head.status, head.headers.get('content-length')], [200, `${text.length}`], name);
      }
    }
    const nested = JSON.stringify({
      ...{ schemaVersion: 2, mediaType: mediaTypes.ociIndex },
      manifests: [
        { mediaType: mediaTypes.ociIndex, digest: digestOf(JSON.stringify(all['empty index'], undefined, 2)), size: 1 },
      ],
    });
    await pushManifest(call, 'app', 'nested', nested);
    assert.equal((await call('GET', '/v2/app/manifests/nested')).text, nested);
    const listed = JSON.parse((await call('GET', `/v2/app/referrers/${digestOf('absent')}`)).text);
    assert.equal(listed.manifests.length, 1, 'of a subject that is not there');
    const ofImage = JSON.parse((await call('GET', `/v2/app/referrers/${image.digest}`)).text);
    assert.deepEqual(
      ofImage.manifests.map(({ mediaType }: { mediaType: string }) => mediaType),
      [mediaTypes.ociIndex],
    );
    assert.equal((await call('DELETE', '/v2/app/manifests/nested')).status, 202);
    assert.equal((await call('GET', '/v2/app/manifests/nested')).status, 404);
    assert.equal((await call('DELETE', `/v2/app/manifests/${digestOf(nested)}`)).status, 202);
    assert.equal((await call('GET', `/v2/app/manifests/${digestOf(nested)}`)).status, 404);
  }));

test('references that are none, and manifests that are not there', () =>
  withServer(async ({ call }) => {
    const { text } = await pushImage(call, 'app', 'v1');
    const headers = { 'content-type': mediaTypes.ociManifest };
    const bad = await call('PUT', '/v2/app/manifests/sha256:baddigeststring', { body: text, headers });
    assert.equal(bad.status, 400);
    const got = await call('GET', '/v2/app/manifests/sha256:baddigeststring');
    assert.ok(got.status === 404 || got.status === 400);
    for (const reference of [digestOf('absent'), sha512('absent'), 'missing-tag']) {
      for (const method of ['GET', 'HEAD', 'DELETE']) {
        assert.equal((await call(method, `/v2/app/manifests/${reference}`)).status, 404, `${method} ${reference}`);
      }
    }
  }));

test('tags after one of them, without a number; referrers of nothing', () =>
  withServer(async ({ call }) => {
    for (const tag of ['a', 'b', 'c', 'd']) await pushImage(call, 'app', tag);
    const rest = JSON.parse((await call('GET', '/v2/app/tags/list?last=b')).text) as { tags: string[] };
    assert.deepEqual(rest.tags, ['c', 'd']);
    const none = await call('GET', `/v2/nobody/referrers/${digestOf('absent')}`);
    assert.deepEqual([none.status, none.headers.get('content-type')], [200, mediaTypes.ociIndex]);
    assert.deepEqual(JSON.parse(none.text).manifests, []);
    const filtered = await call('GET', `/v2/app/referrers/${digestOf('absent')}?artifactType=application%2Fx.a`);
    assert.equal(filtered.headers.get('oci-filters-applied'), 'artifactType');
  }));
