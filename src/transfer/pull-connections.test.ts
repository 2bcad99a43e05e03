/** What connections and servers do to a pull that still succeeds, or ends with a clear word. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { digestOf } from '#oci';
import { randomLayer } from './testsuite-load.ts';
import {
  asIs,
  publish,
  published,
  pull,
  type RegistryFixture,
  registryFixture,
  statuses,
} from './testsuite-registry.ts';

/** Of a slow connection: 12 MB a second. */
const [stepBytes, stepMs] = [240_000, 20];

function blobRequests(registry: RegistryFixture): string[] {
  return registry.requests.filter((line) => /^GET .*\/blobs\//.test(line));
}

test('connections that break are resumed where they stopped', async () => {
  await using registry = await registryFixture();
  await using machine = await registry.machine();
  const layer = await randomLayer(900_000);
  const reference = await published(registry, 'app:1', [layer], asIs);
  const ranges: (string | undefined)[] = [];
  registry.before = (request, response) => {
    if (request.method !== 'GET' || !request.url?.includes(digestOf(layer))) return false;
    ranges.push(request.headers.range);
    if (ranges.length > 4) return false;
    const offset = Number(/\d+/.exec(request.headers.range ?? '0')![0]);
    const status = offset > 0 ? 206 : 200;
    response.writeHead(status, {
      'content-length': layer.length - offset,
      'content-range': `bytes ${offset}-${layer.length - 1}/${layer.length}`,
    });
    response.write(layer.subarray(offset, offset + 200_000), () => setTimeout(() => response.socket?.destroy(), 20));
    return true;
  };
  await pull(machine, reference);
  assert.deepEqual(ranges, [undefined, 'bytes=200000-', 'bytes=400000-', 'bytes=600000-', 'bytes=800000-']);
  assert.deepEqual(await machine.fixture.verify(), []);
});

test('a layer that the registry loses on the way leaves nothing, nor do the others', async () => {
  await using registry = await registryFixture();
  await using machine = await registry.machine();
  const [lost, slow] = [await randomLayer(3_000_000), await randomLayer(4_000_000)];
  const reference = await published(registry, 'app:1', [lost, slow], asIs);
  const { promise: slowArrives, resolve } = Promise.withResolvers<void>();
  let asked = 0;
  registry.before = async (request, response) => {
    if (request.method !== 'GET') return false;
    if (request.url?.includes(digestOf(slow))) {
      response.writeHead(200, { 'content-length': slow.length });
      response.write(slow.subarray(0, 2_500_000), () => setTimeout(resolve, 50));
      return true;
    }
    if (!request.url?.includes(digestOf(lost))) return false;
    if (asked++ > 0) {
      const errors = [{ code: 'BLOB_UNKNOWN', message: 'blob unknown to registry' }];
      response.writeHead(404, { 'content-type': 'application/json' }).end(JSON.stringify({ errors }));
      return true;
    }
    await slowArrives;
    response.writeHead(200, { 'content-length': lost.length });
    response.write(lost.subarray(0, 2_000_000), () => setTimeout(() => response.socket?.destroy(), 20));
    return true;
  };
  await assert.rejects(pull(machine, reference), { kind: 'not-found' });
  assert.deepEqual(await machine.fixture.content.ingests(), []);
  assert.deepEqual(await machine.fixture.verify(), []);
});

test('a server that ignores ranges is read past what is known', async () => {
  await using registry = await registryFixture();
  await using machine = await registry.machine();
  const layer = await randomLayer(500_000);
  const reference = await published(registry, 'app:1', [layer], asIs);
  let tries = 0;
  registry.before = (request, response) => {
    if (request.method !== 'GET' || !request.url?.includes(digestOf(layer))) return false;
    delete request.headers.range;
    if (tries++ > 0) return false;
    response.writeHead(200, { 'content-length': layer.length });
    response.write(layer.subarray(0, 123_457), () => setTimeout(() => response.socket?.destroy(), 20));
    return true;
  };
  await pull(machine, reference);
  assert.equal(tries, 2);
  assert.deepEqual(await machine.fixture.verify(), []);
});

test('a registry that limits requests is waited for, and that is said', async () => {
  await using registry = await registryFixture();
  await using machine = await registry.machine();
  const layer = await randomLayer();
  const reference = await published(registry, 'app:1', [layer], asIs);
  const layerDigest = digestOf(layer);
  let refusals = 2;
  registry.before = (request, response) => {
    if (!request.url?.includes(layerDigest) || refusals-- <= 0) return false;
    response.writeHead(429, { 'retry-after': '1', 'content-type': 'application/json' }).end('{}');
    return true;
  };
  await pull(machine, reference);
  assert.ok(statuses(machine).some((line) => /Retrying in 1 second \(the registry limits requests\)/.test(line)));
});

test('two pulls at once fetch a layer once', async () => {
  await using registry = await registryFixture();
  await using machine = await registry.machine();
  const layer = await randomLayer(300_000);
  const a = registry.reference('a:1');
  const b = registry.reference('b:1');
  const { blobs } = await publish(registry.client, a, [layer]);
  await publish(registry.client, b, [layer, await randomLayer()]);
  registry.requests.length = 0;
  await Promise.all([pull(machine, a), pull(machine, b)]);
  assert.equal(blobRequests(registry).filter((line) => line.includes(blobs[0]!)).length, 1);
  assert.deepEqual(await machine.fixture.verify(), []);
});

test('a large layer comes over several connections where one is slow, unless one was asked for', async () => {
  await using registry = await registryFixture();
  const layer = await randomLayer(24 << 20);
  const reference = await published(registry, 'app:1', [layer], asIs);
  const ranges: string[] = [];
  registry.before = async (request, response) => {
    if (request.method !== 'GET' || !request.url?.includes(digestOf(layer))) return false;
    const { range = 'bytes=0-' } = request.headers;
    ranges.push(range);
    const [first = 0, last = layer.length - 1] = (range.match(/\d+/g) ?? []).map(Number);
    response.writeHead(first > 0 ? 206 : 200, {
      'content-length': last + 1 - first,
      'content-range': `bytes ${first}-${last}/${layer.length}`,
    });
    for (let at = first; at <= last && !response.destroyed; at += stepBytes) {
      await sleep(stepMs);
      response.write(layer.subarray(at, Math.min(last + 1, at + stepBytes)));
    }
    response.end();
    return true;
  };
  await using slow = await registry.machine();
  const once = pull({ ...slow, stores: { ...slow.stores, maxDownloadConnections: 1 } }, reference);
  await once;
  assert.deepEqual(ranges.splice(0), ['bytes=0-']);
  await using machine = await registry.machine();
  await pull(machine, reference);
  assert.ok(ranges.slice(1).every((range) => /^bytes=\d+-\d+$/.test(range)) && ranges.length > 2, ranges.join());
  assert.deepEqual(await machine.fixture.verify(), []);
});
