import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DiskUsage } from '#api-types';
import { serveScript } from '../testsuite/serve.ts';

const json = { 'Content-Type': 'application/json' };

async function answers(methods: Parameters<typeof serveScript>[0]) {
  const api = await serveScript(methods);
  const get = async (path: string) => JSON.parse((await api.send(`GET ${path}`)).body);
  return { get, api, [Symbol.asyncDispose]: () => api[Symbol.asyncDispose]() };
}

test('disk usage: summaries from 1.52 on, lists beside them or inside', async () => {
  const image = { Containers: 0, Size: 10, SharedSize: 4, RepoTags: ['a:1'], RepoDigests: [] };
  const used = { ...image, Containers: 2 };
  const record = { ID: 'x', Size: 6, InUse: false, Shared: false, Parents: ['y'] };
  const usage = {
    LayersSize: 16,
    Images: [image, used],
    Containers: [{ State: 'running', SizeRw: 3, Health: {} }, { State: 'exited', SizeRw: 2 }, { State: 'created' }],
    Volumes: [
      { Name: 'a', UsageData: { Size: 5, RefCount: 0 } },
      { Name: 'b', UsageData: { Size: -1, RefCount: 0 } },
      { Name: 'c', UsageData: { Size: 7, RefCount: 1 } },
    ],
    BuildCache: [record, { ...record, Shared: true }, { ...record, InUse: true }],
  } as unknown as DiskUsage;
  await using daemon = await answers({ 'system.df': async () => usage });
  const before = await daemon.get('/v1.51/system/df');
  assert.deepEqual(Object.keys(before), ['LayersSize', 'Images', 'Containers', 'Volumes', 'BuildCache']);
  const both = await daemon.get('/v1.52/system/df');
  const { ImageUsage, ContainerUsage, VolumeUsage, BuildCacheUsage, ...lists } = both;
  assert.deepEqual({ ...lists, Containers: before.Containers }, before);
  assert.deepEqual([before.Containers[0].Health, lists.Containers[0].Health], [undefined, {}]);
  assert.deepEqual(ImageUsage, { ActiveCount: 1, Reclaimable: 6, TotalCount: 2, TotalSize: 16 });
  assert.deepEqual(ContainerUsage, { ActiveCount: 1, Reclaimable: 2, TotalCount: 3, TotalSize: 5 });
  assert.deepEqual(VolumeUsage, { ActiveCount: 2, Reclaimable: 5, TotalCount: 3, TotalSize: 12 });
  assert.deepEqual(BuildCacheUsage, { ActiveCount: 1, Reclaimable: 6, TotalCount: 3, TotalSize: 18 });
  const verbose = await daemon.get('/v1.55/system/df?verbose=1');
  assert.deepEqual(Object.keys(verbose), ['ImageUsage', 'ContainerUsage', 'VolumeUsage', 'BuildCacheUsage']);
  assert.deepEqual(verbose.ImageUsage.Items, before.Images);
  assert.deepEqual(verbose.BuildCacheUsage.Items[0][' Parents'], ['y']);
});

test('disk usage: kinds that are empty or not asked for', async () => {
  const usage = { LayersSize: 0, Images: [], Containers: null, Volumes: null, BuildCache: null };
  await using daemon = await answers({ 'system.df': async () => usage });
  assert.deepEqual(await daemon.get('/v1.52/system/df?type=image'), { Images: [], ImageUsage: {} });
});

test('events: old fields until 1.51; the type is what a client asks for', async () => {
  const event = { status: 'start', id: 'c', from: 'i', Type: 'container', Action: 'start', scope: 'local', time: 1 };
  await using daemon = await answers({
    'system.events': () =>
      (async function* () {
        yield event;
      })(),
  });
  const ask = async (version: string, accept?: string) => {
    const headers = accept === undefined ? {} : { Accept: accept };
    const answer = await daemon.api.send(`GET /v${version}/events?until=1`, { headers });
    return [answer.headers['Content-Type'], answer.body] as const;
  };
  const old = '{"status":"start","id":"c","from":"i","Type":"container","Action":"start","scope":"local","time":1}\n';
  const now = '{"Type":"container","Action":"start","scope":"local","time":1}\n';
  assert.deepEqual(await ask('1.51'), ['application/json', old]);
  assert.deepEqual(await ask('1.51', 'application/json-seq'), ['application/json-seq', `\u001e${old}`]);
  assert.deepEqual(await ask('1.52'), ['application/jsonl', now]);
  assert.deepEqual(await ask('1.53', '*/*'), ['application/jsonl', now]);
  const picky = 'application/json-seq;q=0.5, application/x-ndjson';
  assert.deepEqual(await ask('1.53', picky), ['application/x-ndjson', now]);
  assert.deepEqual(await ask('1.53', 'application/jsonl;q=0, application/json-seq'), [
    'application/json-seq',
    `\u001e${now}`,
  ]);
});

test('networks: containers are an inspect’s, which counts addresses from 1.52 on', async () => {
  const network = {
    Name: 'n',
    Containers: {},
    Labels: {},
    Status: { IPAM: { Subnets: { '10.0.0.0/30': { IPsInUse: 3, DynamicIPsAvailable: 2n ** 64n - 1n } } } },
  };
  await using daemon = await answers({
    'networks.inspect': async () => network,
    'networks.list': async () => [network],
  });
  assert.deepEqual(await daemon.get('/v1.51/networks/n'), { Name: 'n', Containers: {}, Labels: {} });
  assert.deepEqual(await daemon.get('/v1.51/networks'), [{ Name: 'n', Containers: {}, Labels: {} }]);
  assert.deepEqual(await daemon.get('/v1.52/networks'), [{ Name: 'n', Labels: {} }]);
  const { body } = await daemon.api.send('GET /v1.52/networks/n');
  assert.equal(
    body,
    '{"Name":"n","Labels":{},"Containers":{},"Status":{"IPAM":{"Subnets":{"10.0.0.0/30":{"IPsInUse":3,"DynamicIPsAvailable":18446744073709551615}}}}}\n',
  );
});

test('containers: what 1.52 took away and brought', async () => {
  const inspected = {
    Id: 'c',
    HostConfig: { Memory: 0, KernelMemoryTCP: 0 },
    Config: { MacAddress: '02:00:00:00:00:01', OnBuild: null, Labels: {} },
    NetworkSettings: { Bridge: '', SandboxID: 's', SandboxKey: 'k', Ports: {}, IPAddress: '1.2.3.4', Networks: {} },
  };
  const row = { Id: 'c', Health: { Status: 'none', FailingStreak: 0 } };
  await using daemon = await answers({
    'containers.inspect': async () => inspected,
    'containers.list': async () => [row],
    'containers.stats': () =>
      (async function* () {
        yield { name: '/c' };
      })(),
  });
  assert.deepEqual(await daemon.get('/v1.51/containers/c/json'), inspected);
  assert.deepEqual(await daemon.get('/v1.52/containers/c/json'), {
    Id: 'c',
    HostConfig: { Memory: 0 },
    Config: { Labels: {} },
    NetworkSettings: { SandboxID: 's', SandboxKey: 'k', Ports: {}, Networks: {} },
  });
  assert.deepEqual(await daemon.get('/v1.51/containers/json'), [{ Id: 'c' }]);
  assert.deepEqual(await daemon.get('/v1.52/containers/json'), [row]);
  assert.deepEqual(await daemon.get('/v1.51/containers/c/stats?stream=0'), { name: '/c' });
  assert.deepEqual(await daemon.get('/v1.52/containers/c/stats?stream=0'), { name: '/c', os_type: 'linux' });
});

test('creates and updates: a hardware address, ports bound to nothing, empty limits', async () => {
  await using daemon = await answers({
    'containers.create': async () => ({ Id: 'c', Warnings: [] }),
    'containers.update': async () => ({ Warnings: null }),
  });
  const body = JSON.stringify({
    Image: 'i',
    MacAddress: '02:00:00:00:00:01',
    HostConfig: { PortBindings: { '80/tcp': [], '81/tcp': [{ HostPort: '1' }] } },
  });
  const create = async (version: string) => {
    const answer = await daemon.api.send(`POST /v${version}/containers/create`, { headers: json, body });
    const sent = daemon.api.lastArgs[0] as { MacAddress?: string };
    return [sent.MacAddress, JSON.parse(answer.body).Warnings];
  };
  const mac = '02:00:00:00:00:01';
  const deprecated =
    'The container-wide MacAddress field is now deprecated. It should be specified in EndpointsConfig instead.';
  assert.deepEqual(await create('1.43'), [mac, []]);
  assert.deepEqual(await create('1.51'), [mac, [deprecated]]);
  assert.deepEqual(await create('1.52'), [
    undefined,
    [
      'Following container port(s) have an empty list of port-bindings: 80/tcp. Such bindings will be discarded in a future version.',
    ],
  ]);
  const update = async (version: string) => {
    const limits = JSON.stringify({ BlkioDeviceReadBps: [], Memory: 9 });
    await daemon.api.send(`POST /v${version}/containers/c/update`, { headers: json, body: limits });
    return daemon.api.lastArgs[1];
  };
  assert.deepEqual(await update('1.54'), { Memory: 9 });
  assert.deepEqual(await update('1.55'), { Memory: 9, BlkioDeviceReadBps: [] });
});

test('images: what is empty is left out from 1.52 on; several platforms at once; where one is from', async () => {
  const inspected = {
    Id: 'sha256:a',
    Parent: '',
    Comment: 'made',
    DockerVersion: '',
    Author: '',
    Identity: { Pull: [{ Repository: 'docker.io/library/a' }] },
    Config: { Cmd: ['x'], Entrypoint: null, Env: [], Labels: {}, User: '', WorkingDir: '/' },
  };
  await using daemon = await answers({
    'images.inspect': async () => inspected,
    'images.list': async () => [],
    'images.save': () =>
      (async function* () {
        yield Buffer.from('tar');
      })(),
  });
  const { Identity: _identity, ...before } = inspected;
  assert.deepEqual(await daemon.get('/v1.51/images/a/json'), before);
  const short = { Id: 'sha256:a', Comment: 'made', Config: { Cmd: ['x'], WorkingDir: '/' } };
  assert.deepEqual(await daemon.get('/v1.52/images/a/json'), short);
  assert.deepEqual((await daemon.get('/v1.53/images/a/json')).Identity, inspected.Identity);
  const platforms = ['amd64', 'arm64'].map((architecture) => JSON.stringify({ os: 'linux', architecture }));
  const query = platforms.map((one) => `platform=${encodeURIComponent(one)}`).join('&');
  assert.deepEqual(await daemon.get(`/v1.51/images/a/get?${query}`), {
    message: 'multiple platform parameters are not supported in this API version; use API version 1.52 or later',
  });
  assert.equal((await daemon.api.send(`GET /v1.52/images/a/get?${query}`)).body, 'tar');
  const options = daemon.api.lastArgs[1] as { platforms: readonly string[] };
  assert.deepEqual(options.platforms, ['linux/amd64', 'linux/arm64']);
  assert.deepEqual(await daemon.get('/v1.54/images/json?identity=1'), {
    message: 'conflicting options: identity requires manifests=1',
  });
});

test('a daemon may tell clients a newer version', async () => {
  await using api = await serveScript({ 'system.ping': async () => {} }, { version: '1.55' });
  assert.equal((await api.send('HEAD /_ping')).headers['Api-Version'], '1.55');
});
