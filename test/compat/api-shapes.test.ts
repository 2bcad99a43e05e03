/** Every GET endpoint: status, content type, and the keys and types of what it says, held against those of dockerd 28.5.2 (`api-shapes.json`). */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { apiRoutes } from '../../src/api/routes.ts';
import { type Ask, apiOf } from './api-fixture.ts';
import { type ContainerSetup, containerSetup, lines, until } from './containers-fixture.ts';
import { faultsOf, type Shapes } from './shape.ts';

const shapes = JSON.parse(readFileSync(join(import.meta.dirname, 'api-shapes.json'), 'utf8')) as Shapes;
const noManager = /^This node is not a swarm manager\./;

/** Pattern of the route, what is asked, and the shape or content type of the answer. */
type Row = readonly [pattern: string, path: string, answer: string];

const json = (made: Made): readonly Row[] => [
  ['/info', '/info', '$info'],
  ['/version', '/version', '$version'],
  ['/system/df', '/system/df', '$disk-usage'],
  ['/containers/json', '/containers/json?all=1', '["$container"]'],
  ['/containers/json', '/containers/json?all=1&size=1', '["$container"]'],
  ['/containers/{name:.*}/json', '/containers/full/json', '$container-inspect'],
  ['/containers/{name:.*}/json', '/containers/full/json?size=1', '$container-inspect'],
  ['/containers/{name:.*}/json', '/containers/plain/json', '$container-inspect'],
  ['/containers/{name:.*}/json', '/containers/ended/json', '$container-inspect'],
  ['/containers/{name:.*}/top', '/containers/full/top', '$top'],
  ['/containers/{name:.*}/changes', '/containers/full/changes', '$changes'],
  ['/containers/{name:.*}/changes', '/containers/plain/changes', '"null"'],
  ['/exec/{id:.*}/json', `/exec/${made.usedExec}/json`, '$exec'],
  ['/exec/{id:.*}/json', `/exec/${made.newExec}/json`, '$exec'],
  ['/images/json', '/images/json?all=1', '["$image"]'],
  ['/images/{name:.*}/json', '/images/built/json', '$image-inspect'],
  ['/images/{name:.*}/json', '/images/base/json', '$image-inspect'],
  ['/images/{name:.*}/history', '/images/built/history', '$history'],
  ['/networks', '/networks', '$networks'],
  ['/networks/', '/networks/', '$networks'],
  ['/networks/{id:.+}', '/networks/own', '$network'],
  ['/networks/{id:.+}', '/networks/bridge', '$network'],
  ['/networks/{id:.+}', '/networks/host', '$network'],
  ['/volumes', '/volumes', '$volumes'],
  ['/volumes/{name:.+}', '/volumes/kept', '$volume'],
  ['/plugins', '/plugins', '["any"]'],
];

const streams: readonly Row[] = [
  ['/_ping', '/_ping', 'text/plain; charset=utf-8'],
  ['/containers/{name:.*}/logs', '/containers/ended/logs?stdout=1', 'application/vnd.docker.multiplexed-stream'],
  ['/containers/{name:.*}/logs', '/containers/full/logs?stdout=1', 'application/vnd.docker.raw-stream'],
  ['/containers/{name:.*}/archive', '/containers/plain/archive?path=/bin/sh', 'application/x-tar'],
  ['/containers/{name:.*}/export', '/containers/plain/export', 'application/octet-stream'],
  ['/images/get', '/images/get?names=base', 'application/x-tar'],
  ['/images/{name:.*}/get', '/images/base/get', 'application/x-tar'],
];

/** Status and words. */
const refusals: readonly (readonly [pattern: string, path: string, status: number, words: RegExp])[] = [
  ...['/swarm', '/swarm/unlockkey', '/services', '/secrets', '/configs', '/nodes', '/tasks'].map(
    (path) => [path, path, 503, noManager] as const,
  ),
  ...['services', 'secrets', 'configs', 'nodes', 'tasks'].map(
    (kind) => [`/${kind}/{id}`, `/${kind}/x`, 503, noManager] as const,
  ),
  ['/services/{id}/logs', '/services/x/logs?stdout=1', 503, noManager],
  ['/tasks/{id}/logs', '/tasks/x/logs?stdout=1', 503, noManager],
  ['/plugins/{name:.*}/json', '/plugins/x/json', 404, /^plugin "x" not found$/],
  ['/containers/{name:.*}/json', '/containers/nosuch/json', 404, /^No such container: nosuch$/],
  ['/images/{name:.*}/json', '/images/nosuch/json', 404, /^No such image: nosuch:latest$/],
  ['/networks/{id:.+}', '/networks/nosuch', 404, /^network nosuch not found$/],
  ['/volumes/{name:.+}', '/volumes/nosuch', 404, /^get nosuch: no such volume$/],
  ['/exec/{id:.*}/json', '/exec/nosuch/json', 404, /^No such exec instance: nosuch$/],
  ['/containers/{name:.*}/logs', '/containers/full/logs', 400, /^Bad parameters: you must choose at least one stream$/],
  [
    '/containers/{name:.*}/logs',
    '/containers/full/logs?stdout=1&since=abc',
    500,
    /^strconv\.ParseInt: parsing "abc": invalid syntax$/,
  ],
  ['/containers/{name:.*}/archive', '/containers/full/archive?path=/nosuch', 404, /^Could not find the file \/nosuch/],
];

/** Asked by tests of their own: they need a registry, a second client, or are what Wherry alone has. */
const elsewhere = new Set([
  '/containers/{name:.*}/stats',
  '/containers/{name:.*}/attach/ws',
  '/containers/{name:.*}/checkpoints',
  '/distribution/{name:.*}/json',
  '/events',
  '/images/search',
  '/images/{name:.*}/attestations',
  '/plugins/privileges',
]);

test('what GET endpoints answer', async (t) => {
  await using setup = await containerSetup(t);
  if (!setup) return;
  if (setup.docker.olderThan(25)) {
    t.skip('this docker CLI cannot make a container with everything an answer has: it knows no --annotation');
    return;
  }
  const ask = apiOf(setup.daemon.host);
  const made = await makeThings(setup, ask);

  for (const [, path, shape] of json(made)) {
    await t.test(path.replace(/[0-9a-f]{64}/, 'x'), async () => {
      const { status, contentType, body, text } = await ask('GET', path);
      assert.deepEqual([status, contentType], [200, 'application/json']);
      assert.ok(text.endsWith('\n'));
      const expected = shape.startsWith('$') ? shape : JSON.parse(shape);
      assert.deepEqual(faultsOf(body, expected, shapes), []);
    });
  }
  for (const [, path, type] of streams) {
    await t.test(path, async () => {
      const { status, contentType } = await ask('GET', path);
      assert.deepEqual([status, contentType], [200, type]);
    });
  }
  for (const [, path, status, words] of refusals) {
    await t.test(`${status} ${path}`, async () => {
      const answer = await ask('GET', path);
      assert.deepEqual([answer.status, answer.contentType], [status, 'application/json']);
      assert.deepEqual(faultsOf(answer.body, '$error', shapes), []);
      assert.match(answer.body.message, words);
    });
  }
  await t.test('/events', async () => {
    const { text, contentType } = await ask('GET', `/events?since=1&until=${Math.ceil(Date.now() / 1000)}`);
    assert.equal(contentType, 'application/json');
    const events = lines(text).map((line) => JSON.parse(line));
    assert.ok(events.length > 10);
    assert.deepEqual(faultsOf(events, ['$event'], shapes), []);
  });
  await t.test('every route is among them', () => {
    const asked = new Set([...json(made), ...streams, ...refusals].map(([pattern]) => pattern));
    const routes = apiRoutes.filter(({ method, pattern }) => method === 'GET' && !pattern.startsWith('/wherry'));
    const missing = routes.map(({ pattern }) => pattern).filter((one) => !asked.has(one) && !elsewhere.has(one));
    assert.deepEqual(missing, []);
  });
  await t.test('what older versions said differently', async () => {
    const get = async (path: string) => (await ask('GET', path)).body;
    const endpoint = (inspect: { NetworkSettings: { Networks: Record<string, { Aliases: unknown }> } }) =>
      inspect.NetworkSettings.Networks['own']!.Aliases;
    const id = (await get('/containers/full/json')).Id.slice(0, 12);
    assert.deepEqual(endpoint(await get('/v1.45/containers/full/json')), ['also']);
    assert.deepEqual(endpoint(await get('/v1.44/containers/full/json')), ['also', id, 'host']);
    const containers = async (version: string) => {
      const all: { Name: string; Containers: object }[] = await get(`/v${version}/networks`);
      return Object.keys(all.find(({ Name }) => Name === 'own')!.Containers).length;
    };
    assert.deepEqual([await containers('1.27'), await containers('1.28')], [1, 0]);
    const has = async (version: string, path: string, key: string) =>
      key in [await get(`/v${version}${path}`)].flat()[0];
    assert.deepEqual(
      [await has('1.43', '/images/json', 'VirtualSize'), await has('1.44', '/images/json', 'VirtualSize')],
      [true, false],
    );
    assert.deepEqual(
      [await has('1.41', '/system/df', 'BuilderSize'), await has('1.42', '/system/df', 'BuilderSize')],
      [true, false],
    );
    assert.deepEqual(
      [
        await has('1.44', '/images/base/json', 'ContainerConfig'),
        await has('1.45', '/images/base/json', 'ContainerConfig'),
      ],
      [true, false],
    );
  });
});

interface Made {
  readonly usedExec: string;
  readonly newExec: string;
}

const dockerfile = `FROM base
ENV A=b
EXPOSE 80
VOLUME /x
HEALTHCHECK CMD true
ONBUILD RUN true
SHELL ["sh", "-c"]
LABEL a=b
STOPSIGNAL INT
USER 1
WORKDIR /w
RUN true
`;

/** One of everything that shows in answers. */
async function makeThings({ docker }: ContainerSetup, ask: Ask): Promise<Made> {
  const built = await docker.run(['build', '-t', 'built', '-'], { input: dockerfile });
  assert.equal(built.status, 0, built.stderr);
  await docker.ok('network', 'create', '--subnet', '10.231.7.0/24', '--label', 'a=b', 'own');
  await docker.ok('volume', 'create', '--label', 'a=b', 'kept');
  await docker.ok('run', ...fullFlags, 'base', 'sh', '-c', 'echo up; touch /made; sleep 100');
  await docker.ok('create', '--name', 'plain', 'base', 'true');
  await docker.ok('run', '--name', 'ended', 'base', 'echo', 'said');
  await until(
    () => ask('GET', '/containers/full/changes'),
    ({ text }) => text.includes('/made'),
  );
  const exec = async (): Promise<string> =>
    (await ask('POST', '/containers/full/exec', { Cmd: ['true', 'x'], User: '0' })).body.Id;
  const [usedExec, newExec] = [await exec(), await exec()];
  await ask('POST', `/exec/${usedExec}/start`, { Detach: true });
  return { usedExec, newExec };
}

const fullFlags = [
  ...['-d', '-t', '--name', 'full', '--hostname', 'host', '--network', 'own', '--network-alias', 'also'],
  ...['--ip', '10.231.7.9', '-p', '127.0.0.1::80', '-p', '81/udp', '--expose', '90'],
  ...['-v', 'kept:/v', '-v', '/tmp:/t:ro', '--mount', 'type=tmpfs,dst=/q,tmpfs-size=1m', '--tmpfs', '/r'],
  ...['-e', 'A=b', '-l', 'a=b', '--annotation', 'x=y', '--memory', '64m', '--cpus', '0.5', '--pids-limit', '50'],
  ...[
    '--ulimit',
    'nofile=1000:2000',
    '--sysctl',
    'net.core.somaxconn=10',
    '--add-host',
    'a:1.2.3.4',
    '--dns',
    '1.1.1.1',
  ],
  ...['--security-opt', 'no-new-privileges', '--cap-add', 'NET_ADMIN', '--cap-drop', 'MKNOD', '--group-add', '5'],
  ...['--stop-timeout', '3', '--stop-signal', 'INT', '-w', '/tmp', '-u', '0'],
];
