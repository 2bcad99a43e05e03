/** Run by `network-bridge.test.ts` inside a namespace of its own. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { isKind } from '#errdefs';
import { type Endpoint, type NetworkInfo, type Networks, openNetworks, type PortBinding } from '#network';
import { temporaryFolder } from '#testing';
import { ask, hostAddress, ip, makeHost, outsideAddress, serve } from './surroundings.ts';

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let host: ReturnType<typeof makeHost>;
let networks: Networks;
let bridge: NetworkInfo;

const open = (instance = 'test', extra: object = {}) =>
  openNetworks({ instance, engineID: 'an engine', runRoot: join(folder.path, instance), firewall: true, ...extra });
const bridgeOf = (some: Networks) => some.list().find(({ name }) => name === 'bridge')!;
const port = (containerPort: number, hostPort: number, extra: Partial<PortBinding> = {}): PortBinding => ({
  containerPort,
  hostPort,
  protocol: 'tcp',
  hostIP: '',
  ...extra,
});

/** Of the one daemon there is. */
function tableOf(): string {
  const tables = execFileSync('nft', ['list', 'tables'], { encoding: 'utf8' });
  return /wherry-[0-9a-f]{8}/.exec(tables)?.[0] ?? assert.fail('no table');
}

function isAlive(pid: string): boolean {
  return existsSync(`/proc/${pid}/stat`) && !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
}

async function verified(some: Networks, keep: readonly string[] = []): Promise<string[]> {
  return await Array.fromAsync(some.verify(new Set(keep)));
}

async function start(id: string, ports: readonly PortBinding[] = []) {
  const { path } = await networks.createNamespace(id);
  const endpoint = await networks.connect(id, { networkID: bridge.id, name: id, ports });
  return { path, endpoint };
}

async function stop(id: string): Promise<void> {
  await networks.disconnect(id, bridge.id);
  await networks.removeNamespace(id);
}

before(async () => {
  folder = await temporaryFolder();
  host = makeHost();
  networks = open();
  await networks.start();
  bridge = bridgeOf(networks);
});

after(async () => {
  host.remove();
  await networks.teardown();
  // What another writes now may not bring ours back.
  execFileSync('nft', ['add', 'table', 'ip', 'other']);
  execFileSync('nft', ['delete', 'table', 'ip', 'other']);
  await new Promise((resolve) => setTimeout(resolve, 1500));
  await networks[Symbol.asyncDispose]();
  assert.doesNotMatch(ip('link'), /wh-|wv/);
  assert.doesNotMatch(execFileSync('nft', ['list', 'tables'], { encoding: 'utf8' }), /wherry/);
  assert.deepEqual(readdirSync(join(folder.path, 'test', 'netns')), []);
  await folder[Symbol.asyncDispose]();
});

test('the first network is 172.17.0.0/16, and start is idempotent', async () => {
  assert.equal(bridge.subnet, '172.17.0.0/16');
  assert.equal(bridge.gateway, '172.17.0.1');
  await networks.start();
  assert.deepEqual(await verified(networks), []);
});

test('containers reach each other, the host and the world; the host reaches them', async () => {
  const a = await start('a');
  const b = await start('b');
  assert.deepEqual(
    [a.endpoint.ipAddress, a.endpoint.macAddress, a.endpoint.gateway, a.endpoint.prefixLength],
    ['172.17.0.2', '02:42:ac:11:00:02', '172.17.0.1', 16],
  );
  using _inA = await serve(a.path, 80, 'a');
  using _outside = await serve(host.outside, 80, 'outside');
  using _here = await serve('', 79, 'here');
  assert.equal(await ask(b.path, 'tcp', '172.17.0.2', 80), 'a 172.17.0.3');
  assert.equal(await ask('', 'tcp', '172.17.0.2', 80), 'a 172.17.0.1');
  assert.equal(await ask(b.path, 'tcp', '172.17.0.1', 79), 'here 172.17.0.3');
  assert.equal(await ask(b.path, 'tcp', outsideAddress, 80), `outside ${hostAddress}`);
  assert.deepEqual(await verified(networks, ['a', 'b']), []);
  await stop('a');
  await stop('b');
  assert.deepEqual(await verified(networks), []);
});

test('what is not published is closed to the outside, and loopback services to containers', async () => {
  const a = await start('a');
  using _inA = await serve(a.path, 80, 'a');
  ip('-n', host.outside.slice('/run/netns/'.length), 'route', 'add', '172.17.0.0/16', 'via', hostAddress);
  assert.equal(await ask(host.outside, 'tcp', '172.17.0.2', 80), 'timeout');
  const path = a.path;
  const server = createServer((socket) => socket.end('loopback'));
  server.listen(78, '127.0.0.1');
  await once(server, 'listening');
  // A container that sends 127.0.0.1 out to the bridge must not find the host's loopback there.
  execFileSync('nsenter', [
    `--net=${path}`,
    'sh',
    '-c',
    [
      'ip link set lo down',
      'ip rule add pref 0 lookup 100',
      'ip rule del pref 0 lookup local',
      'ip rule add pref 10 lookup local',
      'ip route add 127.0.0.1 via 172.17.0.1 table 100 src 172.17.0.2',
      'echo 1 > /proc/sys/net/ipv4/conf/eth0/route_localnet',
    ].join(' && '),
  ]);
  assert.equal(await ask(path, 'tcp', '127.0.0.1', 78), 'timeout');
  execFileSync('nft', ['flush', 'chain', 'ip', tableOf(), 'guard']);
  assert.equal(await ask(path, 'tcp', '127.0.0.1', 78), 'loopback');
  await networks.start();
  assert.equal(await ask(path, 'tcp', '127.0.0.1', 78), 'timeout');
  server.close();
  await stop('a');
});

test('published ports answer on every way in', async () => {
  const a = await start('a', [
    port(80, 8080),
    port(80, 8080, { protocol: 'udp' }),
    port(80, 8081, { hostIP: '127.0.0.1' }),
  ]);
  const b = await start('b');
  using _inA = await serve(a.path, 80, 'a');
  assert.deepEqual(
    a.endpoint.ports.map(({ protocol, hostIP, hostPort }) => `${protocol} ${hostIP} ${hostPort}`),
    ['tcp 0.0.0.0 8080', 'tcp :: 8080', 'udp 0.0.0.0 8080', 'udp :: 8080', 'tcp 127.0.0.1 8081'],
  );
  for (const protocol of ['tcp', 'udp'] as const) {
    assert.equal(await ask(host.outside, protocol, hostAddress, 8080), `a ${outsideAddress}`);
    assert.equal(await ask('', protocol, hostAddress, 8080), `a ${hostAddress}`);
    assert.equal(await ask('', protocol, '127.0.0.1', 8080), 'a 172.17.0.1');
    assert.equal(await ask('', protocol, '::1', 8080), 'a 172.17.0.1');
    assert.equal(await ask(b.path, protocol, hostAddress, 8080), 'a 172.17.0.1');
    assert.equal(await ask(a.path, protocol, hostAddress, 8080), 'a 172.17.0.1');
  }
  assert.equal(await ask('', 'tcp', '127.0.0.1', 8081), 'a 172.17.0.1');
  assert.equal(await ask(host.outside, 'tcp', hostAddress, 8081), 'ECONNREFUSED');
  await stop('a');
  await stop('b');
  assert.equal(await ask('', 'tcp', '127.0.0.1', 8080), 'ECONNREFUSED');
  assert.deepEqual(await verified(networks), []);
});

test('a UDP flow follows the port to its next container', async () => {
  const a = await start('a', [port(80, 8090, { protocol: 'udp' })]);
  {
    using _inA = await serve(a.path, 80, 'a');
    assert.equal(await ask(host.outside, 'udp', hostAddress, 8090), `a ${outsideAddress}`);
  }
  await stop('a');
  const b = await start('b', [port(80, 8090, { protocol: 'udp' })]);
  using _inB = await serve(b.path, 80, 'b');
  assert.equal(await ask(host.outside, 'udp', hostAddress, 8090), `b ${outsideAddress}`);
  await stop('b');
});

test('free ports are picked in order, ranges from their start', async () => {
  const a = await start('a', [port(80, 0), port(81, 0), port(82, 9000, { hostPortEnd: 9002 })]);
  const b = await start('b', [port(80, 9000, { hostPortEnd: 9002 })]);
  const numbers = ({ endpoint }: { endpoint: Endpoint }) =>
    endpoint.ports.filter(({ hostIP }) => hostIP === '0.0.0.0').map(({ hostPort }) => hostPort);
  const [first, second, third] = numbers(a);
  assert.ok(first! >= 32768);
  assert.deepEqual([second, third, ...numbers(b)], [first! + 1, 9000, 9001]);
  await stop('a');
  await stop('b');
});

test("a taken port is refused in Docker's words and leaves nothing", async () => {
  await start('a', [port(80, 8080)]);
  await networks.createNamespace('b');
  const connect = (binding: PortBinding) =>
    networks.connect('b', { networkID: bridge.id, name: 'bee', ports: [port(1, 8085), binding] });
  await assert.rejects(connect(port(80, 8080)), (error: Error) => {
    assert.ok(isKind(error, 'conflict'));
    assert.match(
      error.message,
      /^driver failed programming external connectivity on endpoint bee \([0-9a-f]{64}\): Bind for 0\.0\.0\.0:8080 failed: port is already allocated$/,
    );
    return true;
  });
  const server = createServer();
  server.listen(8086, '127.0.0.1');
  await once(server, 'listening');
  await assert.rejects(
    connect(port(90, 8086)),
    /: failed to bind host port for 0\.0\.0\.0:8086:172\.17\.0\.\d:90\/tcp: address already in use$/,
  );
  await assert.rejects(
    connect(port(90, 8087, { hostIP: '203.0.113.9' })),
    /: failed to bind host port for 203\.0\.113\.9:8087:172\.17\.0\.\d:90\/tcp: cannot assign requested address$/,
  );
  await assert.rejects(connect(port(90, 8087, { hostIP: 'nonsense' })), /invalid IP address/);
  assert.deepEqual(await verified(networks, ['a', 'b']), []);
  server.close();
  // 8085 was given back each time.
  await networks.connect('b', { networkID: bridge.id, ports: [port(1, 8085)] });
  await stop('b');
  await stop('a');
});

test('a connect that fails late leaves nothing', async () => {
  await assert.rejects(networks.connect('ghost', { networkID: bridge.id, ports: [port(80, 8080)] }), /create link/);
  await assert.rejects(networks.connect('../x', { networkID: bridge.id, ports: [] }), /invalid container ID/);
  assert.deepEqual(await verified(networks), []);
  const { path } = await networks.createNamespace('late');
  execFileSync('nsenter', [`--net=${path}`, 'ip', 'route', 'add', 'unreachable', 'default', 'metric', '0']);
  await assert.rejects(networks.connect('late', { networkID: bridge.id, ports: [port(80, 8080)] }), /configure eth0/);
  await networks.removeNamespace('late');
  assert.deepEqual(await verified(networks), []);
  const { endpoint } = await start('a', [port(80, 8080)]);
  assert.equal(endpoint.ipAddress, '172.17.0.2');
  await assert.rejects(networks.connect('a', { networkID: bridge.id, ports: [] }), /already exists/);
  await stop('a');
});

test('addresses and hardware addresses can be asked for', async () => {
  await networks.createNamespace('a');
  const connect = (ipAddress: string, macAddress: string) =>
    networks.connect('a', { networkID: bridge.id, ipAddress, macAddress, ports: [] });
  await assert.rejects(connect('10.0.0.1', '02:00:00:00:00:01'), /no configured subnet/);
  await assert.rejects(connect('172.17.0.1', '02:00:00:00:00:01'), /Address already in use/);
  await assert.rejects(connect('172.17.5.5', '01:00:00:00:00:01'), /invalid MAC address/);
  const endpoint = await connect('172.17.5.5', '02:00:00:00:00:01');
  assert.equal(endpoint.macAddress, '02:00:00:00:00:01');
  const path = join(folder.path, 'test', 'netns', 'a');
  const shown = execFileSync('nsenter', [`--net=${path}`, 'ip', 'addr', 'show', 'eth0'], { encoding: 'utf8' });
  assert.match(shown, /02:00:00:00:00:01[\s\S]*172\.17\.5\.5\/16/);
  assert.doesNotMatch(shown, /inet6/);
  await stop('a');
});

test('host and none have endpoints without addresses', async () => {
  for (const name of ['host', 'none']) {
    const network = networks.list().find((some) => some.name === name)!;
    const endpoint = await networks.connect('a', { networkID: network.id, ports: [] });
    assert.equal(endpoint.ipAddress, '');
    await networks.disconnect('a', network.id);
  }
  await assert.rejects(networks.connect('a', { networkID: 'nope', ports: [] }), /network nope not found/);
});

test('two daemons live side by side on different subnets', async () => {
  const other = open('other');
  await other.start();
  const theirs = bridgeOf(other);
  assert.equal(theirs.subnet, '172.18.0.0/16');
  const { path } = await other.createNamespace('x');
  await other.connect('x', { networkID: theirs.id, ports: [] });
  const a = await start('a', [port(80, 8080)]);
  using _inA = await serve(a.path, 80, 'a');
  // Leaving their bridge they are masqueraded, as to everywhere else.
  assert.equal(await ask(path, 'tcp', hostAddress, 8080), 'a 172.17.0.1');
  assert.equal(await ask(path, 'tcp', '172.17.0.2', 80), 'timeout');
  await other.teardown();
  await other[Symbol.asyncDispose]();
  assert.equal(await ask('', 'tcp', '127.0.0.1', 8080), 'a 172.17.0.1');
  await stop('a');
});

test('a FORWARD policy of DROP is passed, and our rules go again', async (t) => {
  if (!existsSync('/usr/sbin/iptables')) return t.skip('iptables is not installed');
  const iptables = (...args: string[]) => execFileSync('iptables', args, { encoding: 'utf8' });
  iptables('-P', 'FORWARD', 'DROP');
  await networks.start();
  const a = await start('a', [port(80, 8080)]);
  using _inA = await serve(a.path, 80, 'a');
  assert.equal(await ask(host.outside, 'tcp', hostAddress, 8080), `a ${outsideAddress}`);
  await networks.start();
  assert.equal(iptables('-S', 'FORWARD').match(/ -j ACCEPT/g)?.length, 2);
  await stop('a');
  const other = open('other');
  await other.start();
  assert.equal(iptables('-S', 'FORWARD').match(/ -j ACCEPT/g)?.length, 4);
  await other.teardown();
  await other[Symbol.asyncDispose]();
  assert.equal(iptables('-S', 'FORWARD').match(/ -j ACCEPT/g)?.length, 2);
  iptables('-P', 'FORWARD', 'ACCEPT');
});

test('a policy of DROP that others set after a connect is passed without another', async (t) => {
  if (!existsSync('/usr/sbin/iptables')) return t.skip('iptables is not installed');
  const iptables = (...args: string[]) => execFileSync('iptables', args, { encoding: 'utf8' });
  const a = await start('a', [port(80, 8080)]);
  using _inA = await serve(a.path, 80, 'a');
  iptables('-P', 'FORWARD', 'DROP');
  for (let tries = 0; tries < 100 && !/ACCEPT/.test(iptables('-S', 'FORWARD')); tries++)
    await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(await ask(host.outside, 'tcp', hostAddress, 8080), `a ${outsideAddress}`);
  await stop('a');
  iptables('-P', 'FORWARD', 'ACCEPT');
  iptables('-F', 'FORWARD');
});

test('a FORWARD chain that rejects everybody at its end is passed before that, as UFW’s', async (t) => {
  if (!existsSync('/usr/sbin/iptables')) return t.skip('iptables is not installed');
  const iptables = (...args: string[]) => execFileSync('iptables', args, { encoding: 'utf8' });
  for (const chain of ['ufw-before-forward', 'ufw-reject-forward', 'ufw-track-forward']) {
    iptables('-N', chain);
    iptables('-A', 'FORWARD', '-j', chain);
  }
  iptables('-A', 'ufw-reject-forward', '-j', 'REJECT');
  await networks.start();
  const a = await start('a', [port(80, 8080)]);
  using _inA = await serve(a.path, 80, 'a');
  assert.equal(await ask(host.outside, 'tcp', hostAddress, 8080), `a ${outsideAddress}`);
  const own = iptables('-S', 'FORWARD')
    .split('\n')
    .map((rule) => /wherry-/.test(rule));
  assert.deepEqual(own.slice(1, 6), [false, true, true, false, false], 'between before and reject');
  iptables('-A', 'ufw-before-forward', '-p', 'tcp', '--dport', '80', '-j', 'DROP');
  assert.equal(await ask(host.outside, 'tcp', hostAddress, 8080), 'timeout', 'what is forbidden stays forbidden');
  await stop('a');
  for (const command of ['-F', '-X']) iptables(command);
});

test('a flushed ruleset and a removed bridge are put back', async () => {
  const a = await start('a', [port(80, 8080)]);
  using _inA = await serve(a.path, 80, 'a');
  execFileSync('nft', ['flush', 'ruleset']);
  const lost = await verified(networks, ['a']);
  assert.match(lost.join(), /firewall table ip wherry-[0-9a-f]{8} is missing/);
  await start('b', [port(80, 8088)]);
  assert.equal(await ask('', 'tcp', '127.0.0.1', 8080), 'a 172.17.0.1');
  await stop('a');
  await stop('b');
  ip('link', 'delete', bridge.bridgeName!);
  const { endpoint } = await start('a');
  assert.equal(endpoint.gateway, '172.17.0.1');
  await stop('a');
  assert.deepEqual(await verified(networks), []);
});

test('without a firewall published ports are carried by the daemon', async () => {
  const plain = open('plain', { firewall: false, bridgeAddress: '10.88.0.1/24' });
  await plain.start();
  const { path } = await plain.createNamespace('p');
  const ports = [port(80, 8070), port(80, 8070, { protocol: 'udp' })];
  const endpoint = await plain.connect('p', { networkID: bridgeOf(plain).id, ports });
  assert.equal(endpoint.ipAddress, '10.88.0.2');
  using _inP = await serve(path, 80, 'p');
  assert.doesNotMatch(execFileSync('nft', ['list', 'ruleset'], { encoding: 'utf8' }), /8070|10\.88/);
  for (const protocol of ['tcp', 'udp'] as const) {
    assert.equal(await ask(host.outside, protocol, hostAddress, 8070), 'p 10.88.0.1');
  }
  await plain.teardown();
  await plain[Symbol.asyncDispose]();
});

test('a bridge named by the user must be there, and stays', async () => {
  const own = open('own', { bridgeName: 'mybridge0' });
  await assert.rejects(own.start(), /must be created manually/);
  ip('link', 'add', 'mybridge0', 'type', 'bridge');
  ip('addr', 'add', '10.99.0.1/24', 'dev', 'mybridge0');
  await own.start();
  assert.equal(bridgeOf(own).subnet, '10.99.0.0/24');
  await own.teardown();
  await own[Symbol.asyncDispose]();
  ip('link', 'delete', 'mybridge0');
});

test('daemons that start at one moment get different subnets', async () => {
  const daemons = Array.from({ length: 4 }, (_, number) => open(`race${number}`));
  await Promise.all(daemons.map((daemon) => daemon.start()));
  assert.equal(new Set([bridge, ...daemons.map(bridgeOf)].map(({ subnet }) => subnet)).size, 5);
  for (const daemon of daemons) {
    await daemon.teardown();
    await daemon[Symbol.asyncDispose]();
  }
});

test('forty containers come and go at once', async () => {
  const ids = Array.from({ length: 40 }, (_, number) => `many${number}`);
  const started = await Promise.all(ids.map((id) => start(id, [port(80, 0)])));
  assert.equal(new Set(started.map(({ endpoint }) => endpoint.ipAddress)).size, 40);
  assert.equal(new Set(started.map(({ endpoint }) => endpoint.ports[0]?.hostPort)).size, 40);
  using _last = await serve(started[39]!.path, 80, 'last');
  assert.equal(await ask('', 'tcp', '127.0.0.1', started[39]!.endpoint.ports[0]!.hostPort), 'last 172.17.0.1');
  assert.deepEqual(await verified(networks, ids), []);
  await Promise.all(ids.map(stop));
  assert.deepEqual(await verified(networks), []);
});

test('a default bridge without icc keeps its containers apart, and ports go where they are bound by default', async () => {
  const other = open('apart', { icc: false, defaultBridgeBind: '127.0.0.1', defaultBind: '127.0.0.9' });
  await other.start();
  const [shared] = [bridgeOf(other)];
  const connectTo = async (id: string, networkID: string, ports: readonly PortBinding[] = []) => {
    const { path } = await other.createNamespace(id);
    return { path, endpoint: await other.connect(id, { networkID, ports }) };
  };
  const one = await connectTo('one', shared.id, [port(80, 8300)]);
  const two = await connectTo('two', shared.id);
  using _server = await serve(one.path, 80, 'one');
  assert.equal(await ask(two.path, 'tcp', one.endpoint.ipAddress, 80), 'timeout');
  assert.match(await ask('', 'tcp', '127.0.0.1', 8300), /^one /);
  assert.equal(await ask(host.outside, 'tcp', hostAddress, 8300), 'ECONNREFUSED');
  const spec = { id: 'beef'.repeat(16), name: 'users', createdAt: new Date(), internal: false, icc: true };
  await other.add({ ...spec, masquerade: true, hostBindingIP: '' });
  const { endpoint } = await connectTo('three', spec.id, [port(80, 8301)]);
  assert.deepEqual(endpoint.ports, [port(80, 8301, { hostIP: '127.0.0.9' })]);
  await other.teardown();
  await other[Symbol.asyncDispose]();
});

test('after kill -9 the next daemon adopts the living and removes the rest', async () => {
  const victim = spawn(process.execPath, [join(import.meta.dirname, 'victim.ts'), join(folder.path, 'crash')], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const [line] = await once(victim.stdout!, 'data');
  const endpoints = JSON.parse(String(line)) as Record<string, Endpoint>;
  const helpers = readFileSync(`/proc/${victim.pid}/task/${victim.pid}/children`, 'utf8').trim().split(' ');
  assert.ok(helpers.length > 0 && helpers.every((pid) => existsSync(`/proc/${pid}`)));
  victim.kill('SIGKILL');
  await once(victim, 'exit');
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert.deepEqual(
    helpers.filter((pid) => isAlive(pid)),
    [],
    'helpers end with their daemon',
  );
  const next = open('crash');
  const second = { id: 'feed'.repeat(16), name: 'second', createdAt: new Date(0), internal: false, icc: true };
  await next.start([{ ...second, subnet: '10.213.1.0/24', masquerade: true, hostBindingIP: '' }]);
  const paths = join(folder.path, 'crash', 'netns');
  assert.deepEqual(readdirSync(paths).sort(), ['dead', 'living']);
  using _living = await serve(join(paths, 'living'), 80, 'living');
  assert.equal(await ask(host.outside, 'tcp', hostAddress, 8100), `living ${outsideAddress}`);
  await next.adopt('living', endpoints['living']!);
  // A namespace, a link and a rule of the dead one, and a link that the living one was getting when the daemon was killed.
  assert.equal((await verified(next, ['living'])).length, 4);
  await next.recover(new Set(['living']));
  assert.deepEqual(await verified(next, ['living']), []);
  assert.equal(await ask('', 'tcp', '127.0.0.1', 8100), `living ${bridgeOf(next).gateway}`);
  assert.equal(await ask('', 'tcp', '::1', 8100), `living ${bridgeOf(next).gateway}`);
  await next.createNamespace('new');
  await assert.rejects(
    next.connect('new', { networkID: bridgeOf(next).id, ports: [port(80, 8100)] }),
    /port is already allocated/,
  );
  const fresh = await next.connect('new', { networkID: bridgeOf(next).id, ports: [port(80, 8101)] });
  assert.notEqual(fresh.ipAddress, endpoints['living']!.ipAddress);
  await next.teardown();
  await next[Symbol.asyncDispose]();
});

test('connect and disconnect take a few milliseconds', async (t) => {
  const took: Record<string, number[]> = { create: [], connect: [], 'connect with a port': [], disconnect: [] };
  const timed = async <T>(what: string, work: Promise<T>) => {
    const startMs = performance.now();
    await work;
    took[what]!.push(performance.now() - startMs);
  };
  for (let i = 0; i < 20; i++) {
    await timed('create', networks.createNamespace(`t${i}`));
    const ports = i % 2 ? [port(80, 8200)] : [];
    const what = i % 2 ? 'connect with a port' : 'connect';
    await timed(what, networks.connect(`t${i}`, { networkID: bridge.id, ports }));
    await timed('disconnect', stop(`t${i}`));
    await new Promise((resolve) => setTimeout(resolve, 40));
  }
  for (const [what, times] of Object.entries(took)) {
    const median = times.sort((a, b) => a - b)[times.length >> 1]!;
    t.diagnostic(`${what}: median ${median.toFixed(2)} ms`);
    assert.ok(median < 50, `${what} took ${median} ms`);
  }
});
