import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { digestOf, mediaTypes } from '#oci';
import { temporaryFolder } from '#testing';
import { serveRegistry } from './index.ts';
import { callTo, codeOf, pushBlob, pushImage, withServer } from './testsuite/fixture.ts';

test('the API announces itself', () =>
  withServer(async ({ call }) => {
    const reply = await call('GET', '/v2/');
    assert.equal(reply.status, 200);
    assert.equal(reply.headers.get('docker-distribution-api-version'), 'registry/2.0');
    assert.equal(codeOf(await call('PUT', '/v2/')), 'UNSUPPORTED');
  }));

test('a blob goes up whole and comes back whole or in part', () =>
  withServer(async ({ call }) => {
    const digest = await pushBlob(call, 'a/b', '0123456789');
    const path = `/v2/a/b/blobs/${digest}`;
    const whole = await call('GET', path);
    assert.equal(whole.text, '0123456789');
    const head = await call('HEAD', path);
    assert.equal(head.headers.get('content-length'), '10');
    const ranged = (range: string) => call('GET', path, { headers: { range } });
    const part = await ranged('bytes=3-5');
    assert.deepEqual([part.status, part.text, part.headers.get('content-range')], [206, '345', 'bytes 3-5/10']);
    assert.equal((await ranged('bytes=7-')).text, '789');
    assert.equal((await ranged('bytes=-2')).text, '89');
    assert.equal((await ranged('bytes=8-99')).text, '89');
    const past = await ranged('bytes=10-');
    assert.deepEqual([past.status, past.headers.get('content-range')], [416, 'bytes */10']);
    assert.equal((await ranged('bytes=0-1,3-4')).status, 200);
  }));

test('a blob goes up in chunks, in order only', () =>
  withServer(async ({ call }) => {
    const begun = await call('POST', '/v2/x/blobs/uploads/');
    const location = begun.headers.get('location')!;
    const chunk = (text: string, start: number) =>
      call('PATCH', location, { body: text, headers: { 'content-range': `${start}-${start + text.length - 1}` } });
    assert.equal((await chunk('abc', 0)).headers.get('range'), '0-2');
    const wrong = await chunk('zzz', 7);
    assert.deepEqual([wrong.status, wrong.headers.get('range')], [416, '0-2']);
    assert.equal((await chunk('def', 3)).status, 202);
    const status = await call('GET', location);
    assert.deepEqual([status.status, status.headers.get('range')], [204, '0-5']);
    const digest = digestOf('abcdefgh');
    assert.equal((await call('PUT', `${location}?digest=${digest}`, { body: 'gh' })).status, 201);
    assert.equal((await call('GET', `/v2/x/blobs/${digest}`)).text, 'abcdefgh');
    assert.equal(codeOf(await call('PATCH', location, { body: 'x' })), 'BLOB_UPLOAD_UNKNOWN');
  }));

test('one POST may carry the blob; sha512 is a digest, too', () =>
  withServer(async ({ call }) => {
    const digest = `sha512:${createHash('sha512').update('hello').digest('hex')}`;
    assert.equal((await call('POST', `/v2/x/blobs/uploads/?digest=${digest}`, { body: 'hello' })).status, 201);
    assert.equal((await call('GET', `/v2/x/blobs/${digest}`)).text, 'hello');
  }));

test('a wrong digest keeps nothing', () =>
  withServer(async ({ call, root }) => {
    const begun = await call('POST', '/v2/x/blobs/uploads/');
    const wrong = await call('PUT', `${begun.headers.get('location')}?digest=${digestOf('other')}`, { body: 'bytes' });
    assert.deepEqual([wrong.status, codeOf(wrong)], [400, 'DIGEST_INVALID']);
    assert.deepEqual(await readdir(join(root, 'uploads')), []);
    assert.deepEqual(await readdir(join(root, 'blobs', 'sha256')), []);
    const bad = await call('POST', '/v2/x/blobs/uploads/?digest=sha256:..%2F..', { body: 'bytes' });
    assert.equal(codeOf(bad), 'DIGEST_INVALID');
  }));

test('what a broken connection sent stays, for the client to go on', () =>
  withServer(async ({ call, server }) => {
    const begun = await call('POST', '/v2/x/blobs/uploads/');
    const location = begun.headers.get('location')!;
    await new Promise<void>((resolve) => {
      const cut = httpRequest({
        host: '127.0.0.1',
        port: server.port,
        path: location,
        method: 'PATCH',
        headers: { 'content-length': 100 },
      });
      cut.on('error', () => resolve());
      cut.write('12345', () => setTimeout(() => cut.destroy(new Error('cut')), 50));
    });
    let range: string | null = '';
    for (let tries = 0; tries < 50 && range !== '0-4'; tries++) {
      range = (await call('GET', location)).headers.get('range');
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    assert.equal(range, '0-4');
    const digest = digestOf('1234567');
    assert.equal((await call('PUT', `${location}?digest=${digest}`, { body: '67' })).status, 201);
  }));

test('a client that comes back is not held up by the connection it had, of which nothing more is heard', () =>
  withServer(async ({ call, server }) => {
    const location = (await call('POST', '/v2/x/blobs/uploads/')).headers.get('location')!;
    const silent = connect(server.port, '127.0.0.1');
    silent.on('error', () => {});
    await new Promise<void>((resolve) => {
      const head = `PATCH ${location} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n`;
      silent.write(`${head}12345`, () => setTimeout(resolve, 100));
    });
    try {
      assert.equal((await call('GET', location)).headers.get('range'), '0-4');
      const headers = { 'content-range': '5-6', 'content-type': 'application/octet-stream' };
      assert.equal((await call('PATCH', location, { body: '67', headers })).status, 202);
      assert.equal((await call('PUT', `${location}?digest=${digestOf('1234567')}`)).status, 201);
      assert.equal((await call('GET', `/v2/x/blobs/${digestOf('1234567')}`)).text, '1234567');
    } finally {
      silent.destroy();
    }
  }));

test('a blob is mounted from a repository that has it', () =>
  withServer(async ({ call }) => {
    const digest = await pushBlob(call, 'from', 'shared');
    assert.equal((await call('HEAD', `/v2/to/blobs/${digest}`)).status, 404);
    assert.equal((await call('POST', `/v2/to/blobs/uploads/?mount=${digest}&from=from`)).status, 201);
    assert.equal((await call('GET', `/v2/to/blobs/${digest}`)).text, 'shared');
    const absent = await call('POST', `/v2/to/blobs/uploads/?mount=${digestOf('none')}&from=from`);
    assert.equal(absent.status, 202);
    assert.match(absent.headers.get('location')!, /^\/v2\/to\/blobs\/uploads\//);
    assert.equal((await call('DELETE', absent.headers.get('location')!)).status, 204);
    assert.equal((await call('POST', `/v2/third/blobs/uploads/?mount=${digest}`)).status, 201, 'from anywhere');
    assert.equal((await call('GET', `/v2/third/blobs/${digest}`)).text, 'shared');
  }));

test('a push by digest sets the tags it names', () =>
  withServer(async ({ call }) => {
    const { text } = await pushImage(call, 'app', 'v1');
    const digest = `sha512:${createHash('sha512').update(text).digest('hex')}`;
    const put = (query: string) =>
      call('PUT', `/v2/app/manifests/${digest}${query}`, {
        body: text,
        headers: { 'content-type': mediaTypes.ociManifest },
      });
    const answer = await put('?tag=1.2&tag=1&tag=latest');
    assert.deepEqual([answer.status, answer.headers.get('oci-tag')], [201, '1.2, 1, latest']);
    for (const tag of ['1.2', '1', 'latest']) {
      const got = await call('GET', `/v2/app/manifests/${tag}`);
      assert.deepEqual([got.headers.get('docker-content-digest'), got.text], [digest, text]);
    }
    assert.equal((await put('?tag=.bad')).status, 400);
    const many = Array.from({ length: 101 }, (_, at) => `tag=t${at}`).join('&');
    assert.equal((await put(`?${many}`)).status, 414);
  }));

test('an upload may name its algorithm, and only one that is known', () =>
  withServer(async ({ call }) => {
    const begun = await call('POST', '/v2/x/blobs/uploads/?digest-algorithm=sha512');
    const digest = `sha512:${createHash('sha512').update('abc').digest('hex')}`;
    assert.equal((await call('PUT', `${begun.headers.get('location')}?digest=${digest}`, { body: 'abc' })).status, 201);
    assert.equal(codeOf(await call('POST', '/v2/x/blobs/uploads/?digest-algorithm=md5')), 'DIGEST_INVALID');
  }));

test('a blob the client has is not sent again; a range of another blob is not sent at all', () =>
  withServer(async ({ call }) => {
    const digest = await pushBlob(call, 'x', '0123456789');
    const get = (headers: Record<string, string>) => call('GET', `/v2/x/blobs/${digest}`, { headers });
    for (const known of [`"${digest}"`, `"other", W/"${digest}"`, '*']) {
      const reply = await get({ 'if-none-match': known });
      assert.deepEqual([reply.status, reply.text], [304, '']);
    }
    assert.equal((await get({ 'if-none-match': '"other"' })).status, 200);
    assert.equal((await get({ range: 'bytes=5-', 'if-range': `"${digest}"` })).text, '56789');
    assert.equal((await get({ range: 'bytes=5-', 'if-range': '"other"' })).text, '0123456789');
  }));

test('no tags at all are a page, too', () =>
  withServer(async ({ call }) => {
    await pushImage(call, 'app', 'v1');
    const none = await call('GET', '/v2/app/tags/list?n=0');
    assert.deepEqual([JSON.parse(none.text), none.headers.get('link')], [{ name: 'app', tags: [] }, null]);
  }));

test('what is listed answers HEAD with what GET would have', () =>
  withServer(async ({ call }) => {
    const { digest } = await pushImage(call, 'app', 'v1');
    for (const path of ['/v2/', '/v2/_catalog', '/v2/app/tags/list?n=1', `/v2/app/referrers/${digest}`]) {
      const [head, get] = [await call('HEAD', path), await call('GET', path)];
      assert.deepEqual([head.status, head.text], [200, ''], path);
      for (const name of ['content-type', 'content-length', 'link'])
        assert.equal(head.headers.get(name), get.headers.get(name), `${path} ${name}`);
    }
  }));

test('an upload that is none is told so, whatever its name', () =>
  withServer(async ({ call }) => {
    await pushImage(call, 'app', 'v1');
    for (const id of ['nope', 'a'.repeat(36), crypto.randomUUID()]) {
      for (const method of ['GET', 'PATCH', 'PUT', 'DELETE']) {
        const reply = await call(method, `/v2/app/blobs/uploads/${id}?digest=${digestOf('x')}`);
        assert.deepEqual([reply.status, codeOf(reply)], [404, 'BLOB_UPLOAD_UNKNOWN'], `${method} ${id}`);
      }
    }
  }));

test('manifests are kept byte for byte, by tag and digest', () =>
  withServer(async ({ call }) => {
    const { digest, text } = await pushImage(call, 'app', 'v1');
    for (const reference of ['v1', digest]) {
      const got = await call('GET', `/v2/app/manifests/${reference}`);
      assert.equal(got.text, text);
      assert.equal(got.headers.get('content-type'), mediaTypes.ociManifest);
      assert.equal(got.headers.get('docker-content-digest'), digest);
    }
    const head = await call('HEAD', '/v2/app/manifests/v1');
    assert.deepEqual([head.status, head.headers.get('content-length'), head.text], [200, String(text.length), '']);
    assert.equal(
      (await call('GET', '/v2/app/manifests/v1', { headers: { 'if-none-match': `"${digest}"` } })).status,
      304,
    );
    const missing = await call('GET', '/v2/app/manifests/v2');
    assert.deepEqual([missing.status, codeOf(missing)], [404, 'MANIFEST_UNKNOWN']);
    assert.equal(codeOf(await call('GET', '/v2/nobody/manifests/v2')), 'NAME_UNKNOWN');
  }));

test('manifests that are not right are refused', () =>
  withServer(async ({ call }) => {
    const put = (reference: string, body: string, type: string = mediaTypes.ociManifest) =>
      call('PUT', `/v2/app/manifests/${reference}`, { body, headers: { 'content-type': type } });
    const { text } = await pushImage(call, 'app', 'v1');
    assert.equal(codeOf(await put('v2', '{nope')), 'MANIFEST_INVALID');
    assert.equal(codeOf(await put('v2', text, mediaTypes.ociIndex)), 'MANIFEST_INVALID');
    assert.equal(codeOf(await put(digestOf('other'), text)), 'DIGEST_INVALID');
    const lacking = text.replace(digestOf('layer'), digestOf('absent'));
    assert.equal(codeOf(await put('v2', lacking)), 'MANIFEST_BLOB_UNKNOWN');
    const index = JSON.stringify({
      schemaVersion: 2,
      manifests: [{ mediaType: mediaTypes.ociManifest, digest: digestOf('absent'), size: 3 }],
    });
    assert.equal(codeOf(await put('v2', index, mediaTypes.ociIndex)), 'MANIFEST_BLOB_UNKNOWN');
    assert.equal((await put('v2', ' '.repeat(5 << 20))).status, 413);
    assert.match((await put('-v2', text)).text, /"MANIFEST_INVALID","message":"invalid tag"/);
    assert.deepEqual(JSON.parse((await call('GET', '/v2/app/tags/list')).text), { name: 'app', tags: ['v1'] });
  }));

test('tags and repositories are listed in pages', () =>
  withServer(async ({ call }) => {
    for (const tag of ['c', 'a', 'b']) await pushImage(call, 'deep/er/app', tag);
    await pushImage(call, 'deep', 'x');
    const first = await call('GET', '/v2/deep/er/app/tags/list?n=2');
    assert.deepEqual(JSON.parse(first.text), { name: 'deep/er/app', tags: ['a', 'b'] });
    const next = /<(.+)>; rel="next"/.exec(first.headers.get('link')!)![1]!;
    const second = await call('GET', next);
    assert.deepEqual(JSON.parse(second.text), { name: 'deep/er/app', tags: ['c'] });
    assert.equal(second.headers.get('link'), null);
    assert.deepEqual(JSON.parse((await call('GET', '/v2/_catalog')).text), { repositories: ['deep', 'deep/er/app'] });
    assert.equal(codeOf(await call('GET', '/v2/nobody/tags/list')), 'NAME_UNKNOWN');
    assert.equal((await call('GET', '/v2/deep/tags/list?n=-1')).status, 400);
  }));

test('deleting takes out tags, manifests and blobs', () =>
  withServer(async ({ call }) => {
    const { digest } = await pushImage(call, 'app', 'v1');
    await pushImage(call, 'app', 'v2');
    assert.equal((await call('DELETE', '/v2/app/manifests/v2')).status, 202);
    assert.equal((await call('GET', '/v2/app/manifests/v1')).status, 200);
    assert.equal((await call('DELETE', `/v2/app/manifests/${digest}`)).status, 202);
    assert.equal((await call('GET', '/v2/app/manifests/v1')).status, 404);
    const blob = digestOf('layer');
    assert.equal((await call('DELETE', `/v2/app/blobs/${blob}`)).status, 202);
    assert.equal(codeOf(await call('DELETE', `/v2/app/blobs/${blob}`)), 'BLOB_UNKNOWN');
  }));

test('referrers of a subject are an index', () =>
  withServer(async ({ call }) => {
    const { digest, text } = await pushImage(call, 'app', 'v1');
    const signature = JSON.stringify({
      ...(JSON.parse(text) as object),
      artifactType: 'application/x.signature',
      subject: { mediaType: mediaTypes.ociManifest, digest, size: text.length },
      annotations: { by: 'me' },
    });
    const put = await call('PUT', `/v2/app/manifests/${digestOf(signature)}`, {
      body: signature,
      headers: { 'content-type': mediaTypes.ociManifest },
    });
    assert.equal(put.headers.get('oci-subject'), digest);
    const list = async (query = '') =>
      (JSON.parse((await call('GET', `/v2/app/referrers/${digest}${query}`)).text) as { manifests: unknown[] })
        .manifests;
    assert.deepEqual(await list(), [
      {
        mediaType: mediaTypes.ociManifest,
        digest: digestOf(signature),
        size: signature.length,
        artifactType: 'application/x.signature',
        annotations: { by: 'me' },
      },
    ]);
    assert.deepEqual(await list('?artifactType=other'), []);
    await call('DELETE', `/v2/app/manifests/${digestOf(signature)}`);
    assert.deepEqual(await list(), []);
  }));

test('names that climb out of the folder are refused', () =>
  withServer(async ({ call, root }) => {
    for (const name of ['..%2f..%2fetc', 'a%2f..%2fb', 'A', '_manifests', 'a/_tags', 'a%00b', '.', 'a//b', '%zz']) {
      const reply = await call('POST', `/v2/${name}/blobs/uploads/`);
      assert.ok(reply.status === 400 || reply.status === 404, `${name}: ${reply.status}`);
    }
    assert.deepEqual(
      (await readdir(root)).filter((entry) => !entry.startsWith('registry.db')),
      ['blobs', 'uploads'],
    );
  }));

test('everything is still there after a restart, uploads in flight too', async () => {
  await using folder = await temporaryFolder();
  let location = '';
  const image = await (async () => {
    await using server = await serveRegistry({ root: folder.path, addr: '127.0.0.1:0' });
    const call = callTo(server);
    location = (await call('POST', '/v2/app/blobs/uploads/')).headers.get('location')!;
    await call('PATCH', location, { body: 'half' });
    return await pushImage(call, 'app', 'v1');
  })();
  await using server = await serveRegistry({ root: folder.path, addr: '127.0.0.1:0' });
  const call = callTo(server);
  assert.equal((await call('GET', '/v2/app/manifests/v1')).text, image.text);
  assert.equal((await call('GET', location)).headers.get('range'), '0-3');
  assert.equal((await call('GET', location.replace('/app/', '/other/'))).status, 404);
  const digest = digestOf('half and half');
  assert.equal((await call('PUT', `${location}?digest=${digest}`, { body: ' and half' })).status, 201);
  assert.equal((await call('GET', `/v2/app/blobs/${digest}`)).text, 'half and half');
});

test('a bad address is refused', async () => {
  await using folder = await temporaryFolder();
  for (const addr of ['nope', 'host:99999', '1:2:3']) {
    await assert.rejects(serveRegistry({ root: folder.path, addr }), { kind: 'invalid-argument' });
  }
});
