import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { digestOf, mediaTypes } from '#oci';
import { type Call, codeOf, pushBlob, pushImage, withServer } from './testsuite/fixture.ts';

/** Short times, so that a test sees the end of them. */
const retention = { unclaimedMs: 60_000, askedMs: 0, quietMs: 0, undoMs: 0 };

const files = (root: string) => readdir(join(root, 'blobs', 'sha256'));

async function until(what: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 300; tries++) {
    if (await what()) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.fail('it did not come to pass');
}

const remove = async (call: Call, name: string, digest: string) =>
  assert.equal((await call('DELETE', `/v2/${name}/manifests/${digest}`)).status, 202);

test('the space of a deleted image comes back; what another image has stays', () =>
  withServer(
    async ({ call, root }) => {
      const { digest } = await pushImage(call, 'app', 'v1', { layer: 'own' });
      await pushImage(call, 'app', 'v2', { layer: 'other' });
      await pushImage(call, 'elsewhere', 'v1', { layer: 'own too' });
      assert.equal((await files(root)).length, 4);
      await remove(call, 'app', digest);
      await until(async () => (await files(root)).length === 3);
      assert.equal((await call('GET', `/v2/app/blobs/${digestOf('own')}`)).status, 404);
      assert.equal((await call('GET', `/v2/app/blobs/${digestOf('other')}`)).text, 'other');
      assert.equal((await call('GET', `/v2/app/blobs/${digestOf('{}')}`)).text, '{}');
    },
    { retention },
  ));

test('an index may name blobs, as the cache of a builder does; they stay with it, and are asked for', () =>
  withServer(
    async ({ call, root }) => {
      const entry = (text: string, mediaType: string) => ({ mediaType, digest: digestOf(text), size: text.length });
      const manifests = [
        entry('cached layer', mediaTypes.ociLayerGzip),
        entry('{"layers":[]}', 'application/vnd.buildkit.cacheconfig.v0'),
      ];
      const body = JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests });
      const put = () =>
        call('PUT', '/v2/app/manifests/cache', { body, headers: { 'content-type': mediaTypes.ociIndex } });
      await pushBlob(call, 'app', 'cached layer');
      assert.equal(codeOf(await put()), 'MANIFEST_BLOB_UNKNOWN');
      await pushBlob(call, 'app', '{"layers":[]}');
      assert.equal((await put()).status, 201);
      await pushBlob(call, 'app', 'nobody needs it');
      await until(async () => !(await files(root)).includes(digestOf('nobody needs it').slice(7)));
      assert.equal((await call('GET', `/v2/app/blobs/${digestOf('cached layer')}`)).text, 'cached layer');
      const page = await call('GET', '/r/app/-/cache');
      assert.ok(page.text.includes('application/vnd.buildkit.cacheconfig.v0'), page.text);
      await remove(call, 'app', digestOf(body));
      await until(async () => (await files(root)).length === 0);
    },
    { retention: { ...retention, unclaimedMs: 1000 } },
  ));

test('a blob without a manifest is kept for its time, and for who asks about it', () =>
  withServer(
    async ({ call, root }) => {
      await pushBlob(call, 'app', 'kept');
      const { digest } = await pushImage(call, 'app', 'v1', { layer: 'asked about' });
      const { digest: other } = await pushImage(call, 'app', 'v2', { layer: 'not asked about' });
      assert.equal((await call('HEAD', `/v2/app/blobs/${digestOf('asked about')}`)).status, 200);
      await remove(call, 'app', digest);
      await remove(call, 'app', other);
      await until(async () => !(await files(root)).includes(digestOf('not asked about').slice(7)));
      const left = await files(root);
      assert.ok(left.includes(digestOf('kept').slice(7)), 'just pushed');
      assert.ok(left.includes(digestOf('asked about').slice(7)), 'a push that found it there refers to it soon');
      await pushImage(call, 'app', 'v1', { layer: 'asked about' });
      assert.equal((await call('GET', `/v2/app/blobs/${digestOf('asked about')}`)).text, 'asked about');
    },
    { retention: { ...retention, askedMs: 1500 } },
  ));

test('what can be restored is restored whole', () =>
  withServer(
    async ({ call }) => {
      const { digest, text } = await pushImage(call, 'app', 'v1', { layer: 'precious' });
      await remove(call, 'app', digest);
      await new Promise((resolve) => setTimeout(resolve, 500));
      const body = JSON.stringify({ repository: 'app', kind: 'manifest', reference: digest });
      assert.equal((await call('POST', '/wherry/registry/restore', { body })).status, 204);
      assert.equal((await call('GET', '/v2/app/manifests/v1')).text, text);
      assert.equal((await call('GET', `/v2/app/blobs/${digestOf('precious')}`)).text, 'precious');
    },
    { retention: { ...retention, undoMs: 60_000 } },
  ));

test('pushing and deleting the same image again and again loses no push', () =>
  withServer(
    async ({ call }) => {
      const worker = async (number: number) => {
        for (let round = 0; round < 8; round++) {
          const name = `app${number % 2}`;
          const tag = `t${number}`;
          const image = await pushImage(call, name, tag, { layer: `shared ${round % 3}`, config: `{"n":${number}}` });
          const got = await call('GET', `/v2/${name}/manifests/${tag}`);
          assert.equal(got.text, image.text);
          const layer = digestOf(`shared ${round % 3}`);
          assert.equal((await call('GET', `/v2/${name}/blobs/${layer}`)).text, `shared ${round % 3}`);
          await remove(call, name, image.digest);
        }
      };
      await Promise.all(Array.from({ length: 8 }, (_, number) => worker(number)));
    },
    { retention },
  ));
