/** Run by `network-bridge.test.ts` inside a namespace of its own. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import {
  type GatewayMode,
  type NetworkInfo,
  type NetworkSpec,
  type Networks,
  openNetworks,
  type PortBinding,
} from '#network';
import { temporaryFolder } from '#testing';
import {
  ask,
  hostAddress,
  hostAddress6,
  ip,
  makeHost,
  outsideAddress,
  outsideAddress6,
  serve,
} from './surroundings.ts';

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let host: ReturnType<typeof makeHost>;
let networks: Networks;

const open = () =>
  openNetworks({ instance: 'six', engineID: 'an engine', runRoot: join(folder.path, 'six'), firewall: true });
const port = (containerPort: number, hostPort: number, extra: Partial<PortBinding> = {}): PortBinding => ({
  containerPort,
  hostPort,
  protocol: 'tcp',
  hostIP: '',
  ...extra,
});

let made = 0;
function specOf(extra: Partial<NetworkSpec>): NetworkSpec {
  made++;
  const common = { internal: false, icc: true, masquerade: true, hostBindingIP: '' };
  return { id: String(made).repeat(64).slice(0, 64), name: `n${made}`, createdAt: new Date(0), ...common, ...extra };
}

const moded = (family: 'ipv6', mode: GatewayMode, extra: Partial<NetworkSpec> = {}) =>
  networks.add(specOf({ [family]: { mode }, ...extra }));

async function start(id: string, network: NetworkInfo, ports: readonly PortBinding[] = []) {
  const { path } = await networks.createNamespace(id);
  const endpoint = await networks.connect(id, { networkID: network.id, name: id, ports });
  return { path, endpoint, address: endpoint.ipv6?.ipAddress ?? '' };
}

async function stop(id: string, ...of: readonly NetworkInfo[]): Promise<void> {
  for (const network of of) await networks.disconnect(id, network.id);
  await networks.removeNamespace(id);
}

/** As a router of the neighbour's would: everything goes to this host. */
const routeFromOutside = (to: string) =>
  ip('-n', host.outside.slice('/run/netns/'.length), '-6', 'route', 'replace', to, 'via', hostAddress6);

before(async () => {
  folder = await temporaryFolder();
  host = makeHost();
  networks = open();
  await networks.start();
});

after(async () => {
  host.remove();
  await networks.teardown();
  await networks[Symbol.asyncDispose]();
  assert.doesNotMatch(ip('link'), /wh-|wv|br-/);
  assert.doesNotMatch(execFileSync('nft', ['list', 'tables'], { encoding: 'utf8' }), /wherry/);
  await folder[Symbol.asyncDispose]();
});

test('containers reach each other, the host and the world over IPv6, and stay closed to the outside', async () => {
  const network = await moded('ipv6', 'nat');
  const subnet = network.ipv6!.subnet!;
  assert.match(subnet, /^fd[0-9a-f]{2}:[0-9a-f]{1,4}:[0-9a-f]{1,4}::\/64$/);
  const a = await start('a', network);
  const b = await start('b', network);
  assert.equal(a.address, subnet.replace('/64', '2'));
  using _inA = await serve(a.path, 80, 'a');
  using _outside = await serve(host.outside, 80, 'outside');
  assert.equal(await ask(b.path, 'tcp', a.address, 80), `a ${b.address}`);
  assert.equal(await ask('', 'tcp', a.address, 80), `a ${network.ipv6!.gateway}`);
  assert.equal(await ask(b.path, 'tcp', outsideAddress6, 80), `outside ${hostAddress6}`);
  routeFromOutside(subnet);
  assert.equal(await ask(host.outside, 'tcp', a.address, 80), 'timeout');
  assert.deepEqual(await Array.fromAsync(networks.verify(new Set(['a', 'b']))), []);
  await stop('a', network);
  await stop('b', network);
  await networks.remove(network.id);
});

test('published ports answer on every way in, with who asked', async () => {
  const network = await moded('ipv6', 'nat');
  const { gateway } = network.ipv6!;
  const a = await start('a', network, [port(80, 8080), port(80, 8080, { protocol: 'udp' })]);
  const b = await start('b', network);
  using _inA = await serve(a.path, 80, 'a');
  for (const protocol of ['tcp', 'udp'] as const) {
    assert.equal(await ask(host.outside, protocol, hostAddress6, 8080), `a ${outsideAddress6}`);
    assert.equal(await ask('', protocol, hostAddress6, 8080), `a ${hostAddress6}`);
    assert.equal(await ask('', protocol, '::1', 8080), `a ${gateway}`);
    assert.equal(await ask(b.path, protocol, hostAddress6, 8080), `a ${gateway}`);
    assert.equal(await ask(a.path, protocol, hostAddress6, 8080), `a ${gateway}`);
    assert.equal(await ask('', protocol, hostAddress, 8080), `a ${hostAddress}`);
  }
  await stop('a', network);
  assert.equal(await ask(host.outside, 'tcp', hostAddress6, 8080), 'ECONNREFUSED');
  await stop('b', network);
  await networks.remove(network.id);
});

test('a network of IPv6 alone publishes there alone', async () => {
  const network = await networks.add(specOf({ ipv4: false, ipv6: {} }));
  assert.equal(network.subnet, undefined);
  const a = await start('a', network, [port(80, 8080), port(80, 8081, { hostIP: '127.0.0.1' })]);
  assert.deepEqual([a.endpoint.ipAddress, a.endpoint.gateway], ['', '']);
  assert.deepEqual(
    a.endpoint.ports.map(({ hostIP, hostPort }) => `${hostIP} ${hostPort}`),
    [':: 8080'],
  );
  using _inA = await serve(a.path, 80, 'a');
  assert.equal(await ask(host.outside, 'tcp', hostAddress6, 8080), `a ${outsideAddress6}`);
  assert.equal(await ask('', 'tcp', '127.0.0.1', 8081), 'ECONNREFUSED');
  await stop('a', network);
  await networks.remove(network.id);
});

test('routed: published ports are open at the container’s own address, nothing else is', async () => {
  const network = await moded('ipv6', 'routed');
  const other = await moded('ipv6', 'nat');
  const a = await start('a', network, [port(80, 8080)]);
  const b = await start('b', other);
  assert.deepEqual(
    a.endpoint.ports.map(({ hostIP, hostPort }) => `${hostIP} ${hostPort}`),
    [':: 0', '0.0.0.0 8080'],
  );
  using _inA = await serve(a.path, 80, 'a');
  using _unpublished = await serve(a.path, 81, 'a');
  using _outside = await serve(host.outside, 80, 'outside');
  routeFromOutside(network.ipv6!.subnet!);
  assert.equal(await ask(host.outside, 'tcp', a.address, 80), `a ${outsideAddress6}`);
  assert.equal(await ask(host.outside, 'tcp', a.address, 81), 'timeout');
  assert.equal(await ask(b.path, 'tcp', a.address, 80), `a ${network.ipv6!.gateway}`);
  assert.equal(await ask(a.path, 'tcp', outsideAddress6, 80), `outside ${a.address}`, 'it keeps its address');
  assert.equal(await ask(host.outside, 'tcp', hostAddress6, 8080), 'ECONNREFUSED');
  assert.deepEqual(await Array.fromAsync(networks.verify(new Set(['a', 'b']))), []);
  await stop('a', network);
  await stop('b', other);
  await networks.remove(network.id);
  await networks.remove(other.id);
});

test('nat-unprotected: every port is open to the outside, none to other networks', async () => {
  const network = await moded('ipv6', 'nat-unprotected');
  const other = await moded('ipv6', 'nat');
  const a = await start('a', network);
  const b = await start('b', other);
  using _inA = await serve(a.path, 81, 'a');
  routeFromOutside(network.ipv6!.subnet!);
  assert.equal(await ask(host.outside, 'tcp', a.address, 81), `a ${outsideAddress6}`);
  assert.equal(await ask(b.path, 'tcp', a.address, 81), 'timeout');
  await stop('a', network);
  await stop('b', other);
  await networks.remove(network.id);
  await networks.remove(other.id);
});

test('isolated: the host has no address there either, and containers have each other', async () => {
  const network = await moded('ipv6', 'isolated', { internal: true, mode: 'isolated' });
  assert.deepEqual([network.gateway, network.ipv6!.gateway], [undefined, undefined]);
  const a = await start('a', network);
  const b = await start('b', network);
  assert.match(a.address, /::1$/, 'the first address is a container’s');
  using _inA = await serve(a.path, 80, 'a');
  assert.equal(await ask(b.path, 'tcp', a.address, 80), `a ${b.address}`);
  assert.doesNotMatch(ip('addr', 'show', network.bridgeName!), /inet6? (fd|172)/);
  assert.deepEqual(await Array.fromAsync(networks.verify(new Set(['a', 'b']))), []);
  await stop('a', network);
  await stop('b', network);
  await networks.remove(network.id);
});

test('a container on several networks leads out where both families do, and then where each does', async () => {
  const four = await networks.add(specOf({}));
  const six = await networks.add(specOf({ ipv4: false, ipv6: {} }));
  const both = await networks.add(specOf({ ipv6: {} }));
  const a = await start('a', four);
  await networks.connect('a', { networkID: six.id, ports: [] });
  const routes = () => ['-4', '-6'].map((family) => leadingLink(a.path, family));
  assert.deepEqual(routes(), ['eth0', 'eth1']);
  await networks.connect('a', { networkID: both.id, ports: [] });
  assert.deepEqual(routes(), ['eth2', 'eth2']);
  await networks.disconnect('a', both.id, { live: true });
  assert.deepEqual(routes(), ['eth0', 'eth1']);
  await stop('a', four, six);
  for (const network of [four, six, both]) await networks.remove(network.id);
});

function leadingLink(path: string, family: string): string | undefined {
  const routes = execFileSync('nsenter', [`--net=${path}`, 'ip', family, 'route', 'show', 'default'], {
    encoding: 'utf8',
  });
  return /dev (\S+)/.exec(routes)?.[1];
}

test('the host’s address on a network, and on what leaves it, and the names of links are the user’s', async () => {
  ip('addr', 'add', '198.51.100.77/24', 'dev', 'uplink');
  ip('addr', 'add', 'fd99::77/64', 'dev', 'uplink', 'nodad');
  const named = await networks.add(
    specOf({ linkPrefix: 'lan', hostAddress: '198.51.100.77', ipv6: { hostAddress: 'fd99::77' } }),
  );
  const a = await start('a', named);
  assert.equal(a.endpoint.linkInside, 'lan0');
  using _outside = await serve(host.outside, 80, 'outside');
  assert.equal(await ask(a.path, 'tcp', outsideAddress, 80), 'outside 198.51.100.77');
  assert.equal(await ask(a.path, 'tcp', outsideAddress6, 80), 'outside fd99::77');
  const bare = await networks.add(specOf({ inhibited: true }));
  const b = await networks.connect('a', { networkID: bare.id, ports: [] });
  assert.deepEqual([b.linkInside, b.gateway], ['eth0', bare.gateway]);
  assert.doesNotMatch(ip('-4', 'addr', 'show', bare.bridgeName!), /inet /);
  await stop('a', named, bare);
  await networks.remove(named.id);
  await networks.remove(bare.id);
  ip('addr', 'del', '198.51.100.77/24', 'dev', 'uplink');
  ip('addr', 'del', 'fd99::77/64', 'dev', 'uplink');
});

/** Sends one SCTP INIT (RFC 9260 §3.3.2) by hand: it needs no SCTP in the kernel. */
function sendInit(namespace: string, to: string, port: number): void {
  const script = `
import socket, struct, sys
def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8): crc = (crc >> 1) ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff
chunk = struct.pack('!BBHIIHHI', 1, 0, 20, 77, 65536, 1, 1, 1)
head = lambda crc: struct.pack('!HHI', 40000, int(sys.argv[2]), 0) + struct.pack('<I', crc)
family = socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET
out = socket.socket(family, socket.SOCK_RAW, 132)
out.sendto(head(crc32c(head(0) + chunk)) + chunk, (sys.argv[1], 0))`;
  execFileSync('nsenter', [`--net=${namespace}`, 'python3', '-c', script, to, String(port)]);
}

test('SCTP is led to the container in both families', async (t) => {
  if (spawnSync('python3', ['-c', '']).status !== 0) {
    t.skip('no python3 to send SCTP with');
    return;
  }
  const network = await moded('ipv6', 'nat');
  const a = await start('a', network, [port(90, 9090, { protocol: 'sctp' })]);
  assert.deepEqual(
    a.endpoint.ports.map(({ hostIP, hostPort }) => `${hostIP} ${hostPort}`),
    ['0.0.0.0 9090', ':: 9090'],
  );
  const inside = (...args: string[]) =>
    execFileSync('nsenter', [`--net=${a.path}`, ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
  for (const [family, to] of [
    ['ip', hostAddress],
    ['ip6', hostAddress6],
  ] as const) {
    inside('nft', `add table ${family} seen; add chain ${family} seen in { type filter hook input priority 0; }`);
    inside('nft', `add rule ${family} seen in meta l4proto sctp th dport 90 counter`);
    sendInit(host.outside, to, 9090);
    await wait(200);
    assert.match(inside('nft', 'list', 'table', family, 'seen'), /counter packets 1 /, family);
  }
  await stop('a', network);
  await networks.remove(network.id);
});

const ip6tables = (...args: string[]) => execFileSync('ip6tables', args, { encoding: 'utf8' });

test('what others drop stays dropped, a FORWARD policy of DROP is passed', async () => {
  const network = await moded('ipv6', 'nat');
  ip6tables('-N', 'DOCKER-USER');
  ip6tables('-A', 'FORWARD', '-j', 'DOCKER-USER');
  ip6tables('-P', 'FORWARD', 'DROP');
  // Others' policies are looked for at a connect, at most once a second.
  await wait(1100);
  try {
    const a = await start('a', network, [port(80, 8080)]);
    using _inA = await serve(a.path, 80, 'a');
    using _outside = await serve(host.outside, 80, 'outside');
    const out = () => ask(a.path, 'tcp', outsideAddress6, 80);
    for (let tries = 0; tries < 20 && (await out()) === 'timeout'; tries++);
    assert.equal(await out(), `outside ${hostAddress6}`);
    assert.equal(await ask(host.outside, 'tcp', hostAddress6, 8080), `a ${outsideAddress6}`);
    ip6tables('-A', 'DOCKER-USER', '-d', a.address, '-p', 'tcp', '--dport', '80', '-j', 'DROP');
    assert.equal(await ask(host.outside, 'tcp', hostAddress6, 8080), 'timeout', 'seen with the container’s address');
    assert.equal(await out(), `outside ${hostAddress6}`);
    await stop('a', network);
    await networks.remove(network.id);
    assert.doesNotMatch(ip6tables('-S', 'FORWARD'), /ACCEPT/);
  } finally {
    ip6tables('-P', 'FORWARD', 'ACCEPT');
    ip6tables('-F', 'FORWARD');
    ip6tables('-F', 'DOCKER-USER');
    ip6tables('-X', 'DOCKER-USER');
  }
});

test('the next daemon finds networks, containers and their ports again', async () => {
  const spec = specOf({ ipv6: {} });
  const info = await networks.add(spec);
  const known: NetworkSpec = { ...spec, subnet: info.subnet!, ipv6: { subnet: info.ipv6!.subnet! } };
  const a = await start('a', info, [port(80, 8080)]);
  using _inA = await serve(a.path, 80, 'a');
  await networks[Symbol.asyncDispose]();
  networks = open();
  await networks.start([known]);
  await networks.adopt('a', a.endpoint, {});
  await networks.recover(new Set(['a']));
  assert.deepEqual(await Array.fromAsync(networks.verify(new Set(['a']))), []);
  assert.deepEqual(networks.list().find(({ id }) => id === spec.id)?.ipv6?.subnet, info.ipv6!.subnet);
  assert.equal(await ask(host.outside, 'tcp', hostAddress6, 8080), `a ${outsideAddress6}`);
  assert.equal(await ask('', 'tcp', '::1', 8080), `a ${info.ipv6!.gateway}`);
  const b = await start('b', info);
  assert.notEqual(b.address, a.address);
  await stop('a', info);
  await stop('b', info);
  await networks.remove(info.id);
});

test('what is no network of IPv6 is refused', async () => {
  const network = await networks.add(specOf({ ipv6: { subnet: 'fd01::/64' } }));
  const refused = (ipv6: NetworkSpec['ipv6'], message: RegExp) =>
    assert.rejects(networks.add(specOf({ ipv6: ipv6! })), message);
  await refused({ subnet: 'fd01::/80' }, /Pool overlaps with other one/);
  await refused({ subnet: 'ff00::/64' }, /multicast subnet 'ff00::1\/64' is not allowed/);
  await refused({ subnet: 'fd02::/128' }, /no available addresses on this pool/);
  await refused(
    { subnet: 'fd02::/64', gateway: 'fd02::' },
    /failed to allocate gateway \(fd02::\): Address already in use/,
  );
  await assert.rejects(networks.add({ ...specOf({ ipv6: {} }), mtu: 1200 }), /Cannot read IPv6 setup for bridge br-/);
  await networks.remove(network.id);
  assert.deepEqual(await Array.fromAsync(networks.verify(new Set())), []);
});
