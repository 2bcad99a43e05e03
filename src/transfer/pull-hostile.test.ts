/** Pulls from registries that misbehave: each ends whole and verified, or with an error and nothing wrong kept, and a second one from a good registry works. */
import assert from 'node:assert/strict';
import { randomBytes, randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { type Digest, digestOf, mediaTypes } from '#oci';
import { configFor, randomLayer } from './testsuite-load.ts';
import { asIs, publish, publishIndex, pull, registryFixture } from './testsuite-registry.ts';

/** More are worth it now and then: WHERRY_CUTS=1000. */
const rounds = Number(process.env['WHERRY_CUTS'] ?? 6);
const seed = Number(process.env['WHERRY_SEED'] ?? randomInt(2 ** 31));

/** Numbers below `limit` that a seed repeats. */
function randomOf(start: number): (limit: number) => number {
  let state = start || 1;
  return (limit) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return state % limit;
  };
}

/** The blob from where the request wants it, for a server that then goes its own way. */
function partOf(request: IncomingMessage, bytes: Buffer): { rest: Buffer; status: number; headers: object } {
  const from = Number(/bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0);
  const rest = bytes.subarray(from);
  const range = { 'content-range': `bytes ${from}-${bytes.length - 1}/${bytes.length}` };
  return { rest, status: from > 0 ? 206 : 200, headers: { 'content-length': rest.length, ...(from > 0 ? range : {}) } };
}

const isBlob = (request: IncomingMessage, digest: Digest) =>
  request.method === 'GET' && (request.url?.includes(digest) ?? false);

test('connections cut at random bytes, manifests too', async (t) => {
  t.diagnostic(`WHERRY_SEED=${seed}`);
  const random = randomOf(seed);
  await using registry = await registryFixture();
  for (let round = 0; round < rounds; round++) {
    registry.before = () => false;
    await using machine = await registry.machine();
    const layers = [await randomLayer(random(2 << 20)), await randomLayer(random(60_000))];
    const reference = registry.reference(`cut:${round}`);
    await publish(registry.client, reference, layers, asIs);
    let cuts = 12;
    registry.before = (request, response) => {
      const layer = layers.find((bytes) => isBlob(request, digestOf(bytes)));
      if (cuts <= 0 || random(2) === 0) return false;
      cuts--;
      if (!layer) return response.socket?.destroy() !== undefined;
      const { rest, status, headers } = partOf(request, layer);
      response.writeHead(status, { ...headers });
      response.write(rest.subarray(0, random(rest.length + 1)), () => response.socket?.destroy());
      return true;
    };
    await pull(machine, reference).catch(async (error) => {
      assert.match(String(error), /EOF|reset|broken|ended after|unexpected|other side closed/i);
      registry.before = () => false;
      await pull(machine, reference);
    });
    assert.deepEqual(await machine.fixture.verify(), []);
  }
});

test('a body without end, or of another length than was said, is refused', async () => {
  await using registry = await registryFixture();
  await using machine = await registry.machine();
  const layer = await randomLayer(3_000_000);
  const reference = registry.reference('long:1');
  await publish(registry.client, reference, [layer], asIs);
  const ways: ((response: ServerResponse) => void)[] = [
    async (response) => {
      response.writeHead(200);
      while (!response.destroyed) {
        if (!response.write(randomBytes(1 << 16))) await wait(5);
      }
    },
    (response) =>
      response.writeHead(200, { 'content-length': layer.length + 5 }).end(Buffer.concat([layer, randomBytes(5)])),
    (response) => response.writeHead(200, { 'content-length': 100 }).end(layer.subarray(0, 100)),
    (response) => response.writeHead(200).end(),
  ];
  for (const way of ways) {
    registry.before = (request, response) => {
      if (!isBlob(request, digestOf(layer))) return false;
      way(response);
      return true;
    };
    // Noise is no archive, too: whoever sees it first says so.
    await assert.rejects(
      pull(machine, reference),
      /verification failed|ended after \d+ of \d+ bytes|invalid tar header/,
    );
    assert.deepEqual(await machine.fixture.verify(), []);
  }
  registry.before = () => false;
  await pull(machine, reference);
  assert.deepEqual(await machine.fixture.verify(), []);
});

test('slow drips arrive; a connection that says nothing is given up and begun again', async () => {
  await using registry = await registryFixture({ stallMs: 1500 });
  await using machine = await registry.machine();
  const layer = await randomLayer(60_000);
  const reference = registry.reference('slow:1');
  await publish(registry.client, reference, [layer], asIs);
  let tries = 0;
  registry.before = (request, response) => {
    if (!isBlob(request, digestOf(layer))) return false;
    const { rest, status, headers } = partOf(request, layer);
    response.writeHead(status, { ...headers });
    const isSilent = tries++ === 0;
    void (async () => {
      for (let at = 0; at < rest.length && !response.destroyed; at += 2000) {
        if (isSilent && at >= 20_000) return;
        response.write(rest.subarray(at, at + 2000));
        await wait(10);
      }
      response.end();
    })();
    return true;
  };
  await pull(machine, reference);
  assert.equal(tries, 2);
  assert.deepEqual(await machine.fixture.verify(), []);
});

test('manifests that are bombs are refused before they are held', async () => {
  await using registry = await registryFixture();
  await using machine = await registry.machine();
  const reference = registry.reference('bomb:1');
  await publish(registry.client, reference, [await randomLayer()], asIs);
  let sentBytes = 0;
  registry.before = (request, response) => {
    if (!request.url?.includes('/manifests/')) return false;
    response.writeHead(200, { 'content-type': mediaTypes.ociManifest });
    if (request.method === 'HEAD') return response.end() !== undefined;
    void (async () => {
      response.write('{"schemaVersion":2,"x":"');
      for (; sentBytes < 50 << 20 && !response.destroyed; sentBytes += 1 << 16)
        if (!response.write(Buffer.alloc(1 << 16, 97))) await wait(1);
      response.end('"}');
    })();
    return true;
  };
  await assert.rejects(pull(machine, reference), /read manifest: larger than \d+ bytes/);
  assert.ok(sentBytes < 50 << 20, 'the rest was not waited for');
  registry.before = () => false;
  let inner = (await publish(registry.client, registry.reference('deep:0'), [await randomLayer()], asIs)).descriptor;
  const platform = { os: 'linux', architecture: 'amd64' };
  for (let depth = 1; depth < 12; depth++)
    inner = { ...(await publishIndex(registry.client, registry.reference(`deep:${depth}`), [{ ...inner, platform }])) };
  await assert.rejects(pull(machine, registry.reference('deep:11')), /indexes nested deeper than 4/);
  assert.deepEqual(await machine.fixture.contents(), []);
  await pull(machine, reference);
  assert.deepEqual(await machine.fixture.verify(), []);
});

test('layers that inflate to something else leave nothing, however large', async () => {
  await using registry = await registryFixture();
  await using machine = await registry.machine();
  const zeros = Buffer.alloc(96 << 20);
  for (const [name, compress] of [
    ['gzip', gzipSync],
    ['zstd', zstdCompressSync],
  ] as const) {
    const layer = await randomLayer();
    const reference = registry.reference(`${name}:1`);
    await publish(registry.client, reference, [layer], { compress: () => compress(zeros), config: configFor([layer]) });
    await assert.rejects(pull(machine, reference), /verification failed|not a tar|invalid/i);
  }
  assert.deepEqual(await machine.fixture.contents(), []);
  assert.deepEqual(await machine.fixture.verify(), []);
});

/** Sends a part of the layer, then goes its own way. */
function partOnly(response: ServerResponse, layer: Buffer): void {
  response.writeHead(200, { 'content-length': layer.length });
  response.write(layer.subarray(0, 2 << 20), () => setTimeout(() => response.socket?.destroy(), 50));
}

for (const status of [401, 403, 429, 500, 503]) {
  test(`a registry that answers ${status} half-way ends the pull; the next one goes on where it stopped`, async () => {
    await using registry = await registryFixture();
    await using machine = await registry.machine();
    const layer = await randomLayer(5 << 20);
    const reference = registry.reference('storm:1');
    await publish(registry.client, reference, [layer], asIs);
    let asked = 0;
    registry.before = (request, response) => {
      if (!isBlob(request, digestOf(layer))) return false;
      if (asked++ === 0) partOnly(response, layer);
      else response.writeHead(status, { 'content-type': 'application/json' }).end('{}');
      return true;
    };
    await assert.rejects(pull(machine, reference));
    const ranges: (string | undefined)[] = [];
    registry.before = (request) => {
      if (isBlob(request, digestOf(layer))) ranges.push(request.headers.range);
      return false;
    };
    await pull(machine, reference);
    // Nothing is kept for who may not read it any more; a login may just have expired.
    const isKept = status !== 403;
    assert.deepEqual(ranges, [isKept ? `bytes=${2 << 20}-` : undefined]);
    assert.deepEqual(await machine.fixture.verify(), []);
  });
}

test('a storage host behind a redirect that dies half-way ends the pull; the next one goes on, elsewhere even', async () => {
  await using registry = await registryFixture();
  await using machine = await registry.machine();
  const layer = await randomLayer(5 << 20);
  const reference = registry.reference('moved:1');
  await publish(registry.client, reference, [layer], asIs);
  const seen: (string | undefined)[] = [];
  let answer = (_request: IncomingMessage, response: ServerResponse) => partOnly(response, layer);
  const storage = createServer((request, response) => {
    seen.push(request.headers.range);
    answer(request, response);
    answer = (_, dying) => void dying.socket?.destroy();
  }).listen(0, '127.0.0.1');
  await once(storage, 'listening');
  registry.before = (request, response) => {
    if (!isBlob(request, digestOf(layer))) return false;
    response.writeHead(307, { location: `http://127.0.0.1:${(storage.address() as AddressInfo).port}/x` }).end();
    return true;
  };
  try {
    const impatient = { ...machine, stores: { ...machine.stores, maxDownloadAttempts: 2 } };
    await assert.rejects(pull(impatient, reference));
    answer = (request, response) => {
      const { rest, status, headers } = partOf(request, layer);
      response.writeHead(status, { ...headers }).end(rest);
    };
    seen.length = 0;
    await pull(machine, reference);
    assert.deepEqual(seen, [`bytes=${2 << 20}-`]);
    assert.deepEqual(await machine.fixture.verify(), []);
  } finally {
    storage.closeAllConnections();
    storage.close();
  }
});
