import assert from 'node:assert/strict';
import { test } from 'node:test';
import { digestOf, mediaTypes } from '#oci';
import { type Call, pushBlob, pushImage, pushManifest, withServer } from '../testsuite/fixture.ts';

const config = JSON.stringify({
  architecture: 'amd64',
  os: 'linux',
  rootfs: { type: 'layers', diff_ids: [] },
  config: { Cmd: ['run', '<it>'] },
  history: [{ created_by: 'RUN make "all" && <b>bold</b>' }],
});

async function page(call: Call, path: string): Promise<string> {
  const reply = await call('GET', path);
  assert.equal(reply.status, 200, path);
  assert.match(reply.headers.get('content-security-policy') ?? '', /default-src 'none'/);
  assertAccessible(reply.text, path);
  return reply.text;
}

/** What a reader of the page by ear or by keyboard needs. */
function assertAccessible(text: string, path: string): void {
  assert.match(text, /<html lang="en">/);
  assert.match(text, /<title>[^<]+<\/title>/);
  assert.equal(text.match(/<h1>/g)?.length, 1, `${path}: one h1`);
  assert.match(text, /<a class="skip" href="#content">/);
  assert.match(text, /<main id="content"/);
  assert.match(text, /<label for="q">/);
  assert.ok(!/<script|style="|onclick|https?:\/\/(?!127)/.test(text.replace(/<pre[\s\S]*?<\/pre>/g, '')), 'offline');
  for (const table of text.match(/<table>[\s\S]*?<\/table>/g) ?? []) {
    assert.match(table, /<caption>/);
    assert.match(table, /<th scope="col"/);
    assert.equal(table.match(/<tr>/g)!.length - 1, table.match(/<th scope="row"/g)?.length, `${path}: a head per row`);
  }
}

test('the home page lists and finds repositories; without any it says how to push', () =>
  withServer(async ({ call, server }) => {
    assert.match(await page(call, '/'), new RegExp(`docker push ${server.address}/NAME`));
    const annotations = { 'org.opencontainers.image.description': 'Fast & <small>' };
    await pushImage(call, 'library/app', 'v1', { annotations });
    await pushImage(call, 'team/tool', 'v1');
    const home = await page(call, '/');
    assert.match(home, /<a href="\/r\/library\/app">library\/app<\/a> <span class="badge">official<\/span>/);
    assert.match(home, /Fast &amp; &lt;small&gt;/);
    assert.match(home, /2 repositories/);
    const found = await page(call, '/?q=%22tool');
    assert.match(found, /value="&quot;tool"/);
    assert.match(await page(call, '/?q=tool'), /1 repository/);
    assert.equal((await call('GET', '/style.css')).headers.get('content-type'), 'text/css; charset=utf-8');
  }));

test('a repository shows its tags, an image its layers, settings and history', () =>
  withServer(async ({ call, server }) => {
    const { digest } = await pushImage(call, 'team/app', 'v1', {
      config,
      layer: 'x'.repeat(2500),
      annotations: { 'io.wherry.readme': '# Hello\n<script>' },
    });
    const repository = await page(call, '/r/team/app');
    assert.match(repository, new RegExp(`docker pull ${server.address}/team/app:v1`));
    assert.match(repository, /<a href="\/r\/team\/app\/-\/v1">v1<\/a>/);
    assert.match(repository, /# Hello\n&lt;script&gt;/);
    for (const reference of ['v1', digest]) {
      const image = await page(call, `/r/team/app/-/${reference}`);
      assert.match(image, /1 layer, 2.5 kB/);
      assert.match(image, /<dt>Platform<\/dt><dd>linux\/amd64<\/dd>/);
      assert.match(image, /run &lt;it&gt;/);
      assert.match(image, /RUN make &quot;all&quot; &amp;&amp; &lt;b&gt;bold/);
    }
    for (const path of ['/r/none', '/r/team/app/-/none', `/r/none/-/${digest}`]) {
      assert.equal((await call('GET', path)).status, 404, path);
    }
  }));

test('an index shows its platforms, a subject what refers to it', () =>
  withServer(async ({ call }) => {
    const child = await pushImage(call, 'app', 'amd', { config });
    const platform = { os: 'linux', architecture: 'arm', variant: 'v7' };
    const size = child.text.length;
    const descriptor = { mediaType: mediaTypes.ociManifest, digest: child.digest, size };
    const index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [{ ...descriptor, platform }] };
    await pushManifest(call, 'app', 'all', JSON.stringify(index));
    const empty = await pushBlob(call, 'app', '{}');
    const signature = JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      artifactType: 'application/x.signature',
      config: { mediaType: mediaTypes.ociEmpty, digest: empty, size: 2 },
      layers: [],
      subject: descriptor,
    });
    await pushManifest(call, 'app', digestOf(signature), signature);
    assert.match(await page(call, '/r/app/-/all'), new RegExp(`<a href="/r/app/-/${child.digest}">linux/arm/v7</a>`));
    assert.match(await page(call, '/r/app'), /<td>linux\/arm\/v7<\/td>/);
    assert.match(await page(call, '/r/app/-/amd'), /application\/x.signature/);
  }));
