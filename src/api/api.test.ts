import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BuildOptions, ImageInspect, ImageSummary } from '#api-types';
import { EngineError, ExitError } from '#errdefs';
import { fromBytes, readAll } from '#streams';
import { serveScript } from './testsuite/serve.ts';

const json = { 'Content-Type': 'application/json' };
const fails = (kind: EngineError['kind'], message: string) => async () => {
  throw new EngineError(kind, message);
};

test('a ping carries what clients negotiate by', async () => {
  await using api = await serveScript({ 'system.ping': async () => {} });
  const head = await api.send('HEAD /_ping');
  const { Date: _date, Connection: _connection, ...headers } = head.headers;
  assert.equal(head.status, 200);
  assert.deepEqual(headers, {
    'Api-Version': '1.51',
    'Builder-Version': '2',
    'Cache-Control': 'no-cache, no-store, must-revalidate',
    'Content-Length': '0',
    'Content-Type': 'text/plain; charset=utf-8',
    'Docker-Experimental': 'false',
    Ostype: 'linux',
    Pragma: 'no-cache',
    Server: 'Wherry/9.9 (linux)',
    Swarm: 'inactive',
  });
  assert.equal((await api.send('GET /v1.24/_ping')).body, 'OK');
});

test('versions outside 1.24 to 1.55 and unknown paths are refused as dockerd does', async () => {
  await using api = await serveScript({});
  const old = await api.send('GET /v1.23/info');
  assert.equal(old.status, 400);
  assert.equal(old.headers['Content-Type'], 'text/plain; charset=utf-8');
  assert.equal(
    old.body,
    'client version 1.23 is too old. Minimum supported API version is 1.24, please upgrade your client to a newer version\n',
  );
  const young = await api.send('GET /v1.56/info');
  assert.equal(young.status, 400);
  assert.equal(young.body, '{"message":"client version 1.56 is too new. Maximum supported API version is 1.55"}\n');
  for (const path of ['GET /nope', 'POST /info', 'GET /v1.51', 'GET /vabc/info', 'GET /v1.51/info/', 'PUT /_ping']) {
    const answer = await api.send(path);
    assert.equal(answer.status, 404, path);
    assert.equal(answer.body, '{"message":"page not found"}\n', path);
    assert.equal(answer.headers['Api-Version'], undefined);
  }
  const moved = await api.send('GET //info?x=1');
  assert.equal(moved.status, 301);
  assert.equal(moved.headers['Location'], '/info?x=1');
  assert.equal((await api.send('OPTIONS /x')).status, 200);
  assert.deepEqual(api.calls, []);
});

test('bodies that are no JSON objects are refused in the words of dockerd', async () => {
  await using api = await serveScript({ 'containers.create': fails('not-found', 'No such image: nope:latest') });
  const cases: readonly (readonly [string | undefined, string | undefined, string])[] = [
    [undefined, undefined, 'invalid JSON: got EOF while reading request body'],
    ['', 'application/json', 'invalid JSON: got EOF while reading request body'],
    ['{}', 'text/plain', "unsupported Content-Type header (text/plain): must be 'application/json'"],
    ['{}', undefined, 'malformed Content-Type header (): mime: no media type'],
    ['{}', 'bad/;/', 'malformed Content-Type header (bad/;/): mime: expected token after slash'],
    [
      '{}',
      'application/json;charset',
      'malformed Content-Type header (application/json;charset): mime: invalid media parameter',
    ],
    ['{}', 'application/json', 'config cannot be empty in order to create a container'],
    ['null', 'application/json', 'config cannot be empty in order to create a container'],
    ['{"HostConfig":{}}', 'application/json', 'config cannot be empty in order to create a container'],
    ['{"Image":"tiny"} x', 'application/json', 'unexpected content after JSON'],
    [
      '{"Image":5}',
      'application/json',
      'invalid JSON: json: cannot unmarshal number into Go struct field .Image of type string',
    ],
  ];
  for (const [body, type, message] of cases) {
    const answer = await api.send('POST /v1.51/containers/create', {
      ...(body === undefined ? {} : { body }),
      headers: type === undefined ? {} : { 'Content-Type': type },
    });
    assert.equal(answer.status, 400, `${body}`);
    assert.deepEqual(JSON.parse(answer.body), { message }, `${body}`);
  }
  assert.deepEqual(api.calls, []);
  const headers = { 'Content-Type': 'application/json; charset=utf-8' };
  const passed = await api.send('POST /containers/create?name=n&platform=linux/amd64', {
    body: '{"Image":"nope"}',
    headers,
  });
  assert.equal(passed.status, 404);
  assert.equal(passed.body, '{"message":"No such image: nope:latest"}\n');
  assert.deepEqual(api.lastArgs, [{ Image: 'nope' }, { name: 'n', platform: 'linux/amd64' }]);
});

test('a body without end is cut off', async () => {
  await using api = await serveScript({});
  const body = `{"Image":"${'x'.repeat(17 << 20)}"}`;
  const answer = await api.send('POST /containers/create', { body, headers: json });
  assert.equal(answer.status, 400);
  assert.deepEqual(JSON.parse(answer.body), { message: 'request body too large' });
});

test('fields and parameters that are not honoured are refused by name', async () => {
  await using api = await serveScript({});
  const created = await api.send('POST /containers/create', {
    body: '{"Image":"a","HostConfig":{"UsernsMode":"bogus"}}',
    headers: json,
  });
  assert.equal(created.status, 501);
  assert.deepEqual(JSON.parse(created.body), { message: 'HostConfig.UsernsMode is not supported yet: got "bogus"' });
  for (const query of ['outputs=%5B%7B%7D%5D', 'version=2']) {
    assert.equal((await api.send(`POST /build?${query}`, { body: '' })).status, 501, query);
  }
  const swarm = await api.send('POST /swarm/init', { body: '{"ListenAddr":"0.0.0.0"}', headers: json });
  assert.equal(swarm.status, 501);
  assert.match(swarm.body, /^\{"message":".* not supported yet/);
  for (const path of ['POST /session', 'POST /grpc']) {
    const answer = await api.send(path, { body: '' });
    assert.deepEqual([answer.status, answer.body], [501, '{"message":"this engine has no BuildKit sessions"}\n']);
  }
  assert.deepEqual(api.calls, []);
});

test('filters come in both spellings', async () => {
  await using api = await serveScript({ 'images.list': async () => [] });
  const list = (filters: string) => api.send(`GET /images/json?filters=${encodeURIComponent(filters)}`);
  for (const good of [
    '{"label":{"a=b":true,"c":true},"dangling":["true"]}',
    '[]',
    'x',
    '{"label":5}',
    '{"label":{"a":1}}',
  ]) {
    const answer = await list(good);
    assert.equal(answer.status, 400, good);
    assert.equal(answer.body, '{"message":"invalid filter"}\n');
  }
  for (const good of ['{"label":{"a=b":true,"c":true}}', '{"label":["a=b","c"]}']) {
    assert.equal((await list(good)).body, '[]\n');
    assert.deepEqual((api.lastArgs[0] as { filters: unknown }).filters, { label: ['a=b', 'c'] });
  }
  for (const none of ['', 'null']) {
    await list(none);
    assert.deepEqual((api.lastArgs[0] as { filters: unknown }).filters, {});
  }
});

test('a volume prune before 1.42 means named volumes too', async () => {
  await using api = await serveScript({ 'volumes.prune': async () => ({ VolumesDeleted: [], SpaceReclaimed: 0 }) });
  const meant = async (version: string, filters: string) => {
    const answer = await api.send(`POST /v${version}/volumes/prune?filters=${encodeURIComponent(filters)}`);
    assert.equal(answer.status, 200);
    return (api.lastArgs[0] as { filters: unknown }).filters;
  };
  assert.deepEqual(await meant('1.41', ''), { all: ['true'] });
  assert.deepEqual(await meant('1.41', '{"label":["a"]}'), { label: ['a'], all: ['true'] });
  assert.deepEqual(await meant('1.42', '{"label":["a"]}'), { label: ['a'] });
  assert.deepEqual(await meant('1.42', '{"all":["true"]}'), { all: ['true'] });
});

test('a create before 1.44 leaves writable what is mounted below read-only binds; before 1.41 it had no platform', async () => {
  await using api = await serveScript({ 'containers.create': async () => ({ Id: 'a', Warnings: [] }) });
  const options = async (version: string) => {
    const request = `POST /v${version}/containers/create?platform=linux/amd64`;
    assert.equal((await api.send(request, { body: '{"Image":"x"}', headers: json })).status, 201);
    return api.lastArgs[1];
  };
  assert.deepEqual(await options('1.40'), { readOnlyNonRecursive: true });
  assert.deepEqual(await options('1.43'), { platform: 'linux/amd64', readOnlyNonRecursive: true });
  assert.deepEqual(await options('1.44'), { platform: 'linux/amd64' });
});

test('queries of Go: broken escapes and semicolons are errors, numbers are 500', async () => {
  await using api = await serveScript({});
  assert.equal((await api.send('GET /images/json?all=%zz')).body, '{"message":"invalid URL escape \\"%zz\\""}\n');
  assert.equal(
    (await api.send('GET /images/json?all=0;b')).body,
    '{"message":"invalid semicolon separator in query"}\n',
  );
  const limit = await api.send('GET /containers/json?limit=x');
  assert.equal(limit.status, 500);
  assert.equal(limit.body, '{"message":"strconv.Atoi: parsing \\"x\\": invalid syntax"}\n');
  assert.equal(
    (await api.send('POST /containers/a/resize?h=x&w=1')).body,
    '{"message":"invalid resize height \\"x\\": invalid syntax"}\n',
  );
  assert.equal((await api.send('GET /info%zz')).status, 400);
});

const image: ImageSummary = {
  Containers: 2,
  Created: 1,
  Id: 'sha256:a',
  Labels: null,
  ParentId: '',
  RepoDigests: [],
  RepoTags: [],
  SharedSize: -1,
  Size: 7,
};

test('older clients get the shapes they knew', async () => {
  const inspected = {
    Id: 'sha256:a',
    Size: 7,
    Config: { Cmd: ['x'] },
  } as unknown as ImageInspect;
  await using api = await serveScript({
    'images.list': async () => [image],
    'images.inspect': async () => inspected,
  });
  const list = async (version: string) => JSON.parse((await api.send(`GET /v${version}/images/json`)).body)[0];
  assert.deepEqual(await list('1.51'), image);
  assert.equal((await list('1.50')).Containers, -1);
  assert.equal((await list('1.43')).VirtualSize, 7);
  assert.deepEqual((await list('1.42')).RepoTags, ['<none>:<none>']);
  const inspect = async (version: string) => JSON.parse((await api.send(`GET /v${version}/images/a/b/json`)).body);
  assert.deepEqual((await inspect('1.51')).Config, { Cmd: ['x'] });
  assert.equal((await inspect('1.49')).Config.Hostname, '');
  assert.equal((await inspect('1.44')).ContainerConfig.Image, '');
  assert.equal((await inspect('1.43')).VirtualSize, 7);
  assert.equal(api.lastArgs[0], 'a/b');
});

test('pull: name and tag join, a failure before the first line is a status, a later one a line', async () => {
  await using api = await serveScript({
    'images.pull': (name: string) =>
      (async function* () {
        if (name.startsWith('gone')) throw new EngineError('not-found', 'manifest unknown');
        yield { status: 'Downloading', id: 'x', progress: '[==>  ]', progressDetail: { current: 1, total: 2 } };
        throw new EngineError('data-loss', 'a < b');
      })(),
  });
  const gone = await api.send('POST /images/create?fromImage=gone&tag=1', { body: '' });
  assert.equal(gone.status, 404);
  assert.equal(gone.body, '{"message":"manifest unknown"}\n');
  const auth = Buffer.from('{"username":"u","password":"p"}').toString('base64url');
  const broken = await api.send('POST /images/create?fromImage=host:5/A&tag=1', {
    body: '',
    headers: { 'X-Registry-Auth': auth },
  });
  assert.equal(broken.status, 400);
  const late = await api.send('POST /images/create?fromImage=host:5/a&tag=1&platform=linux/arm64', {
    body: '',
    headers: { 'X-Registry-Auth': auth },
  });
  assert.equal(late.status, 200);
  assert.equal(late.headers['Content-Type'], 'application/json');
  assert.equal(
    late.body,
    '{"status":"Downloading","progressDetail":{"current":1,"total":2},"progress":"[==\\u003e  ]","id":"x"}\r\n' +
      '{"errorDetail":{"message":"a \\u003c b"},"error":"a \\u003c b"}\r\n',
  );
  const { signal: _signal, ...options } = api.lastArgs[1] as Record<string, unknown>;
  assert.equal(api.lastArgs[0], 'host:5/a:1');
  assert.deepEqual(options, { allTags: false, platform: 'linux/arm64', auth: { username: 'u', password: 'p' } });
  await api.send('POST /images/create?fromImage=busybox:', { body: '' });
  assert.equal((api.lastArgs[1] as { allTags: boolean }).allTags, true);
  const digest = `sha256:${'a'.repeat(64)}`;
  await api.send(`POST /images/create?fromImage=busybox:1&tag=${digest}`, { body: '' });
  assert.equal(api.lastArgs[0], `busybox@${digest}`);
});

test('unreadable credentials count as none', async () => {
  await using api = await serveScript({ 'images.push': () => (async function* () {})() });
  for (const header of ['zz', 'e30=', '', Buffer.from('{"username":5}').toString('base64url')]) {
    await api.send('POST /images/a/push?tag=1', { body: '', headers: { 'X-Registry-Auth': header } });
    assert.equal((api.lastArgs[1] as { auth?: unknown }).auth, undefined, header);
  }
});

test('build: options are decoded, the context streams, a failed step keeps its code', async () => {
  let contextBytes = 0;
  await using api = await serveScript({
    build: (context: AsyncIterable<Uint8Array>) =>
      (async function* () {
        contextBytes = (await readAll(context, 1 << 20)).length;
        yield { stream: 'Step 1/1 : RUN a && b\n' };
        throw new ExitError('returned a non-zero code: 3', { code: 3 });
      })(),
  });
  const query = new URLSearchParams([
    ['t', 'a'],
    ['t', 'b:1'],
    ['buildargs', '{"A":"1","B":null}'],
    ['labels', '{"l":"v"}'],
    ['memory', '1048576'],
    ['nocache', '1'],
    ['rm', '0'],
    ['version', '1'],
    ['cachefrom', '[]'],
    ['ulimits', 'null'],
    ['squash', '1'],
  ]);
  const auths = Buffer.from('{"r.example":{"username":"u"}}').toString('base64url');
  const answer = await api.send(`POST /build?${query}`, {
    body: 'x'.repeat(1000),
    headers: { 'X-Registry-Config': auths },
  });
  assert.equal(contextBytes, 1000);
  assert.equal(
    answer.body,
    '{"stream":"Step 1/1 : RUN a \\u0026\\u0026 b\\n"}\r\n' +
      '{"errorDetail":{"code":3,"message":"returned a non-zero code: 3"},"error":"returned a non-zero code: 3"}\r\n',
  );
  const options = api.lastArgs[1] as BuildOptions;
  assert.deepEqual(options.t, ['a', 'b:1']);
  assert.deepEqual(options.buildargs, { A: '1', B: null });
  assert.deepEqual(options.auths, { 'r.example': { username: 'u' } });
  assert.equal(options.memory, 1048576);
  assert.equal(options.rm, false);
  assert.equal(options.squash, true);
  const messages: Readonly<Record<string, string>> = {
    'buildargs=x': "error reading build args: invalid character 'x' looking for beginning of value",
    'labels=x': "error reading labels: invalid character 'x' looking for beginning of value",
    'isolation=x': 'unsupported isolation: "x"',
    'version=9': 'invalid version "9"',
  };
  for (const [parameter, message] of Object.entries(messages)) {
    const refused = await api.send(`POST /build?${parameter}`, { body: '' });
    assert.equal(refused.status, 400, parameter);
    assert.deepEqual(JSON.parse(refused.body), { message });
  }
});

test('load answers 200 and fails in the stream; save fails with a status, or breaks off', async () => {
  await using api = await serveScript({
    'images.load': () =>
      (async function* (broken: boolean) {
        if (broken) throw new EngineError('invalid-argument', 'not an archive');
        yield {};
      })(true),
    'images.save': (names: readonly string[]) =>
      (async function* () {
        if (names[0] === 'nope') throw new EngineError('not-found', 'No such image: nope');
        yield Buffer.from('part');
        if (names[0] === 'bad') throw new EngineError('data-loss', 'broken');
      })(),
  });
  const load = await api.send('POST /images/load', { body: 'x' });
  assert.equal(load.status, 200);
  assert.equal(load.body, '{"errorDetail":{"message":"not an archive"},"error":"not an archive"}\r\n');
  assert.equal((await api.send('GET /images/nope/get')).status, 404);
  const save = await api.send('GET /images/get?names=a&names=b');
  assert.equal(save.headers['Content-Type'], 'application/x-tar');
  assert.equal(save.body, 'part');
  assert.deepEqual(api.lastArgs[0], ['a', 'b']);
  const broken = await api.raw(['GET /images/bad/get HTTP/1.1\r\nHost: d\r\n\r\n']).catch(() => 'reset');
  assert.doesNotMatch(broken, /0\r\n\r\n$/);
});

test('platforms are JSON where dockerd has them so', async () => {
  await using api = await serveScript({ 'images.history': async () => [] });
  const ask = (platform: string) => api.send(`GET /images/a/history?platform=${encodeURIComponent(platform)}`);
  assert.equal(
    (await ask('x')).body,
    `{"message":"failed to parse platform: invalid character 'x' looking for beginning of value"}\n`,
  );
  assert.equal((await ask('{}')).body, '{"message":"both OS and Architecture must be provided"}\n');
  await ask('{"os":"linux","architecture":"arm","variant":"v7"}');
  assert.deepEqual(api.lastArgs[1], { platform: 'linux/arm/v7' });
});

test('events: headers at once, then lines; times are checked first', async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  await using api = await serveScript({
    'system.events': (options: { signal: AbortSignal }) =>
      (async function* () {
        options.signal.addEventListener('abort', () => resolve());
        yield {
          Type: 'image',
          Action: 'pull',
          Actor: { ID: 'x', Attributes: { name: 'a<b' } },
          scope: 'local',
          time: 5,
          timeNano: 5_000_000_000,
        };
        await promise;
      })(),
  });
  assert.equal((await api.send('GET /events?since=zz')).status, 500);
  assert.equal(
    (await api.send('GET /events?since=5&until=1')).body,
    '{"message":"`since` time (5) cannot be after `until` time (1)"}\n',
  );
  assert.equal((await api.send('GET /events?filters=x')).status, 400);
  setTimeout(resolve, 50);
  const answer = await api.send('GET /events?since=1.5');
  assert.equal(
    answer.body,
    '{"Type":"image","Action":"pull","Actor":{"ID":"x","Attributes":{"name":"a\\u003cb"}},"scope":"local","time":5,"timeNano":5000000000}\n',
  );
});

test('archives carry their stat in a header', async () => {
  const stat = { name: 'sh', size: 7, mode: 134218239, mtime: '2026-11-21T02:30:54Z', linkTarget: '/bin/busybox' };
  let put = '';
  await using api = await serveScript({
    'containers.archiveStat': async () => stat,
    'containers.getArchive': async () => ({ stat, archive: fromBytes('tar') }),
    'containers.putArchive': async (_id: string, _path: string, archive: AsyncIterable<Uint8Array>) => {
      for await (const chunk of archive) put += Buffer.from(chunk).toString();
    },
  });
  const header =
    'eyJuYW1lIjoic2giLCJzaXplIjo3LCJtb2RlIjoxMzQyMTgyMzksIm10aW1lIjoiMjAyNi0xMS0yMVQwMjozMDo1NFoiLCJsaW5rVGFyZ2V0IjoiL2Jpbi9idXN5Ym94In0=';
  const head = await api.send('HEAD /containers/c/archive?path=/bin/sh');
  assert.equal(head.status, 200);
  assert.equal(head.headers['X-Docker-Container-Path-Stat'], header);
  const get = await api.send('GET /containers/c/archive?path=/bin/sh');
  assert.equal(get.headers['X-Docker-Container-Path-Stat'], header);
  assert.equal(get.body, 'tar');
  assert.equal((await api.send('PUT /containers/c/archive?path=/x&copyUIDGID=1', { body: 'tarball' })).status, 200);
  assert.equal(put, 'tarball');
  assert.equal(
    (await api.send('GET /containers/c/archive')).body,
    '{"message":"bad parameter: pathcannot be empty"}\n',
  );
});

test('statuses without bodies, and swarm as a node that is in none', async () => {
  await using api = await serveScript({
    'containers.start': fails('not-modified', ''),
    'containers.kill': async () => {},
    'containers.remove': fails('conflict', 'container is running'),
    'images.tag': async () => {},
    'networks.list': async () => [],
    'networks.remove': fails('permission-denied', 'bridge is a pre-defined network and cannot be removed'),
    'networks.connect': async () => {},
  });
  assert.deepEqual(
    [(await api.send('POST /containers/a/start')).status, (await api.send('POST /containers/a/kill')).status],
    [304, 204],
  );
  assert.equal((await api.send('DELETE /containers/a?force=1')).status, 409);
  assert.equal((await api.send('POST /images/a/tag?repo=b')).status, 201);
  assert.equal((await api.send('GET /v1.51/networks/')).body, '[]\n');
  assert.equal((await api.send('DELETE /networks/bridge')).status, 403);
  const connect = (body: string) => api.send('POST /networks/n/connect', { body, headers: json });
  assert.equal((await connect('{"Container":"c","EndpointConfig":{"Aliases":["a"]}}')).status, 200);
  assert.equal(
    (await connect('{"Container":"c","EndpointConfig":{"DriverOpts":{"com.docker.network.endpoint.bogus":"b"}}}'))
      .status,
    501,
  );
  assert.equal((await connect('{"Container":7}')).status, 400);
  const swarm = await api.send('GET /services');
  assert.equal(swarm.status, 503);
  assert.match(swarm.body, /This node is not a swarm manager/);
  assert.equal((await api.send('GET /plugins')).body, '[]\n');
  assert.equal((await api.send('PUT /volumes/x', { body: '{}', headers: json })).status, 503);
});

test('verify writes one line per fault and nothing when all is well', async () => {
  await using api = await serveScript({
    'system.verify': () =>
      (async function* () {
        yield 'blob sha256:a: digest differs';
      })(),
  });
  const answer = await api.send('POST /wherry/v1/verify', { body: '' });
  assert.equal(answer.status, 200);
  assert.equal(answer.body, '{"fault":"blob sha256:a: digest differs"}\n');
});

test('a refusal that waits for the answer before it on its connection is sent', async () => {
  let ping = () => {};
  const slow = new Promise<void>((resolve) => (ping = resolve));
  await using api = await serveScript({ 'system.ping': () => slow, 'images.list': fails('not-found', 'none here') });
  const answered = api.raw([
    'GET /_ping HTTP/1.1\r\nHost: d\r\n\r\nGET /images/json HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n',
  ]);
  while (!api.calls.some(({ name }) => name === 'images.list')) await new Promise(setImmediate);
  setTimeout(ping, 20);
  assert.match(await answered, /^HTTP\/1\.1 200 OK.*HTTP\/1\.1 404 Not Found.*"none here"/s);
});
