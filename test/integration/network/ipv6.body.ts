/** Run by `network-bridge.test.ts` inside a namespace of its own. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import {
  type GatewayMode,
  type NetworkInfo,
  type NetworkSpec,
  type Networks,
  openNetworks,
  type PortBinding,
} from '#network';
import { temporaryFolder } from '#testing';
import { ask, hostAddress, hostAddress6, ip, makeHost, outsideAddress6, serve } from './surroundings.ts';

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
