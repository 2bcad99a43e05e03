import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { readdir, unlink, utimes, writeFile } from 'node:fs/promises';
import { createServer, request as httpRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { setSink } from '#log';
import { digestOf } from '#oci';
import { temporaryFolder } from '#testing';
import { decodeConfig } from '../config/config.ts';
import { serveRegistry } from '../index.ts';
import { openSqliteMeta } from '../store/sqlite-meta.ts';
import { type Call, pushImage, withServer } from '../testsuite/fixture.ts';
import { Webhooks } from './webhooks.ts';

async function until(what: () => Promise<boolean> | boolean): Promise<void> {
  for (let tries = 0; tries < 500; tries++) {
    if (await what()) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.fail('it did not come to pass');
}

test('health and counts are there for who looks after the server', () =>
  withServer(async ({ call }) => {
    assert.deepEqual([(await call('GET', '/healthz')).status, (await call('GET', '/healthz')).text], [200, 'ok\n']);
    await pushImage(call, 'app', 'v1');
    await call('GET', '/v2/app/manifests/none');
    const { text, headers } = await call('GET', '/metrics');
    assert.match(headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/);
    assert.match(text, /^wherry_registry_requests_total\{method="PUT",kind="manifests",code="201"\} 1$/m);
    assert.match(text, /^wherry_registry_requests_total\{method="GET",kind="manifests",code="404"\} 1$/m);
    assert.match(text, /^wherry_registry_requests_total\{method="PUT",kind="uploads",code="201"\} 2$/m);
    assert.match(text, /^wherry_registry_request_seconds_bucket\{kind="manifests",le="\+Inf"\} 2$/m);
    for (const line of text.trim().split('\n'))
      assert.match(line, /^(# (HELP|TYPE) .+|[a-z_]+(\{[^}]+\})? [0-9.e+-]+)$/);
  }));

interface Message {
  readonly type: string;
  readonly subject: string;
  readonly data: { readonly tags?: string[]; readonly user: string | null };
}

/** Somebody who is told, and does not listen the first time. */
async function listener(): Promise<
  AsyncDisposable & { url: string; heard: Message[]; signatures: string[]; bodies: string[] }
> {
  const [heard, signatures, bodies]: [Message[], string[], string[]] = [[], [], []];
  let refused = false;
  const server = createServer(async (request, response) => {
    const body = (await request.toArray()).join('');
    if (!refused) {
      refused = true;
      response.writeHead(500).end();
      return;
    }
    assert.match(request.headers['content-type'] ?? '', /^application\/cloudevents\+json/);
    heard.push(JSON.parse(body) as Message);
    bodies.push(body);
    signatures.push(String(request.headers['x-wherry-signature']));
    response.end();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`,
    heard,
    signatures,
    bodies,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

test('others are told of pushes and deletions, signed, in CloudEvents', async () => {
  await using listening = await listener();
  // It has refused once before.
  await fetch(listening.url, { method: 'POST' });
  const webhooks = [{ url: listening.url, secret: 's3cret', repositories: ['team/*'] }];
  const config = decodeConfig({ webhooks }, { what: 'config', folder: '/' });
  await withServer(
    async ({ call }) => {
      const { digest } = await pushImage(call, 'team/app', 'v1');
      await pushImage(call, 'other/app', 'v1');
      await call('DELETE', '/v2/team/app/manifests/v1');
      await until(() => listening.heard.length === 2);
      const [pushed, deleted] = listening.heard;
      assert.deepEqual(
        [pushed?.type, pushed?.subject, pushed?.data.tags, pushed?.data.user],
        ['io.wherry.registry.manifest-pushed', `team/app@${digest}`, ['v1'], null],
      );
      assert.deepEqual([deleted?.type, deleted?.subject], ['io.wherry.registry.tag-deleted', 'team/app']);
      const signature = createHmac('sha256', 's3cret').update(listening.bodies[0]!).digest('hex');
      assert.equal(listening.signatures[0], `sha256=${signature}`);
    },
    { config },
  );
});

test('a message that was not taken is sent again, also after a restart', async () => {
  await using listening = await listener();
  await using folder = await temporaryFolder();
  await using meta = await openSqliteMeta(folder.path);
  const hook = { url: listening.url, repositories: [], kinds: ['restored'] as const };
  const parts = { deliveries: meta, source: 'urn:x', firstDelayMs: 50 };
  const sink = setSink(() => {});
  {
    await using first = new Webhooks([hook], parts);
    await first.add({ kind: 'restored', repository: 'app' }, 'ada');
    await until(async () => (await meta.dueDeliveries(Number.MAX_SAFE_INTEGER, 1))[0]?.tries === 1);
  }
  setSink(sink);
  await using _ = new Webhooks([hook], parts);
  await until(() => listening.heard.length === 1);
  assert.deepEqual(listening.heard[0]?.data.user, 'ada');
  await until(async () => (await meta.dueDeliveries(Number.MAX_SAFE_INTEGER, 1)).length === 0);
});

const blobPath = (root: string, text: string) => join(root, 'blobs', 'sha256', digestOf(text).slice(7));

async function scrub(call: Call) {
  assert.equal((await call('POST', '/wherry/registry/scrub')).status, 202);
  let answer = { isRunning: true, last: null as unknown };
  await until(async () => !(answer = JSON.parse((await call('GET', '/wherry/registry/scrub')).text)).isRunning);
  return answer.last as { blobs: number; damaged: unknown[]; orphans: { blobs: number } };
}

test('a scrub finds what is damaged or missing, says whom it hurts, and removes what nobody has', () =>
  withServer(async ({ call, root }) => {
    const { digest: first } = await pushImage(call, 'app', 'v1', { layer: 'good', config: '{"a":1}' });
    const { digest: second } = await pushImage(call, 'app', 'v2', { layer: 'rotten', config: '{"b":1}' });
    assert.deepEqual((await scrub(call)).damaged, []);
    await writeFile(blobPath(root, 'rotten'), 'rotted');
    await unlink(blobPath(root, 'good'));
    await writeFile(blobPath(root, 'orphan'), 'orphan');
    await writeFile(blobPath(root, 'young orphan'), 'young orphan');
    await utimes(blobPath(root, 'orphan'), 1, 1);
    const sink = setSink(() => {});
    const report = await scrub(call);
    setSink(sink);
    assert.deepEqual(report.damaged, [
      {
        digest: digestOf('rotten'),
        problem: 'damaged',
        affected: [{ repository: 'app', manifest: second, tags: ['v2'] }],
      },
      {
        digest: digestOf('good'),
        problem: 'missing',
        affected: [{ repository: 'app', manifest: first, tags: ['v1'] }],
      },
    ]);
    assert.equal(report.orphans.blobs, 1);
    const left = await readdir(join(root, 'blobs', 'sha256'));
    assert.deepEqual(
      [left.includes(digestOf('orphan').slice(7)), left.includes(digestOf('young orphan').slice(7))],
      [false, true],
    );
    assert.match((await call('GET', '/metrics')).text, /^wherry_registry_damaged_blobs 2$/m);
  }));

test('a server that ends lets what is under way come to its end', async () => {
  await using folder = await temporaryFolder();
  const server = await serveRegistry({ root: folder.path, addr: '127.0.0.1:0' });
  const begun = await fetch(`http://${server.address}/v2/app/blobs/uploads/`, { method: 'POST' });
  const path = `${begun.headers.get('location')}?digest=${digestOf('slowly')}`;
  const put = httpRequest({
    host: '127.0.0.1',
    port: server.port,
    path,
    method: 'PUT',
    headers: { 'content-length': 6 },
  });
  const answered = once(put, 'response');
  await new Promise<void>((resolve) => put.write('slow', () => resolve()));
  await new Promise((resolve) => setTimeout(resolve, 100));
  const closed = server.close(10_000);
  await new Promise((resolve) => setTimeout(resolve, 100));
  await assert.rejects(fetch(`http://${server.address}/v2/`), 'no new connections');
  put.end('ly');
  const [response] = (await answered) as [{ statusCode: number }];
  assert.equal(response.statusCode, 201);
  await closed;
});
