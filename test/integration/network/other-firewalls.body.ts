/** Run by `network-bridge.test.ts` inside a namespace of its own: containers beside firewalls of others, by rules such as theirs and by the programs themselves. */
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { type NetworkInfo, type Networks, openNetworks } from '#network';
import { temporaryFolder } from '#testing';
import { FakeFirewalld, writeRules } from './fake-firewalld.ts';
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
let bridge: NetworkInfo;
let closing: DisposableStack;
let bridge6: NetworkInfo;
let inside: string;
let inside6: string;

const iptables = (...args: string[]) => execFileSync('iptables', args, { encoding: 'utf8' });
const has = (program: string) => !spawnSync(program, ['--version']).error;
const open = async () => {
  networks = openNetworks({ instance: 'o', engineID: 'one', runRoot: join(folder.path, 'o'), firewall: true });
  await networks.start();
  bridge = networks.list().find(({ name }) => name === 'bridge')!;
};

/** What the container and the outside get of each other, by port 8080 and by the container's way out. */
async function reached(): Promise<{ in: boolean; out: boolean; hairpin: boolean }> {
  const [into, out, hairpin] = await Promise.all([
    ask(host.outside, 'tcp', hostAddress, 8080),
    ask(inside, 'tcp', outsideAddress, 80),
    ask('', 'tcp', '127.0.0.1', 8080),
  ]);
  return { in: into.startsWith('a '), out: out.startsWith('outside '), hairpin: hairpin.startsWith('a ') };
}

/** The same of a container on a network with IPv6, by port 8086. */
async function reached6(): ReturnType<typeof reached> {
  const [into, out, hairpin] = await Promise.all([
    ask(host.outside, 'tcp', hostAddress6, 8086),
    ask(inside6, 'tcp', outsideAddress6, 80),
    ask('', 'tcp', '::1', 8086),
  ]);
  return { in: into.startsWith('b '), out: out.startsWith('outside '), hairpin: hairpin.startsWith('b ') };
}

const all = { in: true, out: true, hairpin: true };

/** No container comes or goes meanwhile. */
async function eventually(wanted: typeof all, what: string, look = reached): Promise<void> {
  for (let tries = 0; tries < 40; tries++) {
    if (JSON.stringify(await look()) === JSON.stringify(wanted)) return;
    await wait(100);
  }
  assert.deepEqual(await look(), wanted, what);
}

/** Over IPv4 and over IPv6. */
async function eventuallyBoth(wanted: typeof all, what: string): Promise<void> {
  await eventually(wanted, what);
  await eventually(wanted, `${what}, IPv6`, reached6);
}

/** Longer than what is looked at after a connect of itself. */
const untilQuiet = () => wait(2500);

before(async () => {
  folder = await temporaryFolder();
  host = makeHost();
  // As a router of the neighbour's would.
  const outside = host.outside.slice('/run/netns/'.length);
  ip('-n', outside, 'route', 'add', '172.17.0.0/16', 'via', hostAddress);
  ip('-n', outside, '-6', 'route', 'add', 'fd00::/8', 'via', hostAddress6);
  process.env['DBUS_SYSTEM_BUS_ADDRESS'] = `unix:path=${join(folder.path, 'bus')}`;
  await open();
  inside = (await networks.createNamespace('a')).path;
  const binding = { containerPort: 80, hostPort: 8080, protocol: 'tcp', hostIP: '' } as const;
  await networks.connect('a', { networkID: bridge.id, name: 'a', ports: [binding] });
  const spec = { id: '6'.repeat(64), name: 'six', createdAt: new Date(0), internal: false, icc: true };
  bridge6 = await networks.add({ ...spec, masquerade: true, hostBindingIP: '', ipv6: { mode: 'nat' } });
  inside6 = (await networks.createNamespace('b')).path;
  await networks.connect('b', { networkID: bridge6.id, name: 'b', ports: [{ ...binding, hostPort: 8086 }] });
  closing = new DisposableStack();
  closing.use(await serve(inside, 80, 'a'));
  closing.use(await serve(inside6, 80, 'b'));
  closing.use(await serve(host.outside, 80, 'outside'));
  await untilQuiet();
});

afterEach(() => {
  if (has('iptables')) {
    iptables('-P', 'FORWARD', 'ACCEPT');
    for (const command of ['-F', '-X']) iptables(command);
  }
  spawnSync('nft', ['delete', 'table', 'inet', 'firewalld']);
});

after(async () => {
  closing.dispose();
  await networks.disconnect('a', bridge.id);
  await networks.disconnect('b', bridge6.id);
  for (const name of ['a', 'b']) await networks.removeNamespace(name);
  await networks.remove(bridge6.id);
  await networks.teardown();
  await networks[Symbol.asyncDispose]();
  host.remove();
  await folder[Symbol.asyncDispose]();
});

test('a flushed ruleset is put back without a container that comes', async () => {
  assert.deepEqual(await reached(), all);
  assert.deepEqual(await reached6(), all);
  execFileSync('nft', ['flush', 'ruleset']);
  await eventuallyBoth(all, 'after a flush');
});

test('chains as UFW’s that come when containers run are passed, and what they forbid is forbidden', async (t) => {
  if (!has('iptables')) return t.skip('iptables is not installed');
  const jumps = ['ufw-before-forward', 'ufw-reject-forward', 'ufw-track-forward'];
  const enable = () => {
    iptables('-P', 'FORWARD', 'DROP');
    for (const chain of jumps) iptables('-A', 'FORWARD', '-j', chain);
  };
  for (const chain of jumps) iptables('-N', chain);
  enable();
  await eventually(all, 'a policy of DROP');
  iptables('-A', 'ufw-reject-forward', '-j', 'REJECT');
  await eventually(all, 'rejecting, before where our rules stood');
  iptables('-F', 'ufw-reject-forward');
  iptables('-P', 'FORWARD', 'ACCEPT');
  for (const chain of jumps) iptables('-D', 'FORWARD', '-j', chain);
  await untilQuiet();
  assert.doesNotMatch(iptables('-S', 'FORWARD'), /wherry-/, 'nothing of ours where nothing is closed');
  iptables('-A', 'ufw-before-forward', '-p', 'tcp', '--dport', '80', '-i', 'uplink', '-j', 'DROP');
  enable();
  await eventually({ ...all, in: false }, 'what is forbidden from outside');
});

test('what is changed while our rules are being written is seen as well', async (t) => {
  if (!has('iptables')) return t.skip('iptables is not installed');
  iptables('-P', 'FORWARD', 'DROP');
  for (let times = 0; times < 25; times++) {
    iptables('-F', 'FORWARD');
    await wait(10 * (times % 8));
  }
  await eventually(all, 'flushed again and again');
});

test('a rule that is written behind ours is asked before them', async (t) => {
  if (!has('iptables')) return t.skip('iptables is not installed');
  iptables('-P', 'FORWARD', 'DROP');
  await eventually(all, 'a policy of DROP');
  iptables('-A', 'FORWARD', '-p', 'tcp', '--dport', '80', '-i', 'uplink', '-j', 'DROP');
  await eventually({ ...all, in: false }, 'forbidden at the end');
  assert.equal(iptables('-S', 'FORWARD').match(/wherry-/g)?.length, 4, 'moved, not doubled: two for each bridge');
});

test('rules as firewalld’s are passed by its zones, and again when it wrote them anew', async () => {
  await using firewalld = await FakeFirewalld.start(join(folder.path, 'bus'), ['public', 'trusted']);
  writeRules();
  await eventually(all, 'a firewalld that starts');
  assert.deepEqual([...firewalld.zoneOf.values()], ['trusted', 'trusted']);
  firewalld.zoneOf.clear();
  writeRules();
  await eventually(all, 'a firewalld that reloads');
  firewalld.zoneOf.set(bridge.bridgeName!, 'public');
  writeRules();
  await untilQuiet();
  assert.equal(firewalld.zoneOf.get(bridge.bridgeName!), 'public', 'a zone of the user’s is left');
  assert.equal((await reached()).out, false);
});

test('a firewalld that has a zone for Docker gets bridges there; those of networks that go are taken out', async () => {
  await using firewalld = await FakeFirewalld.start(join(folder.path, 'bus'), ['docker', 'public', 'trusted']);
  writeRules();
  await eventually(all, 'a firewalld that starts');
  const spec = {
    id: 'f'.repeat(64),
    name: 'f',
    createdAt: new Date(0),
    icc: true,
    masquerade: true,
    hostBindingIP: '',
  };
  const { bridgeName } = await networks.add({ ...spec, internal: true });
  assert.equal(firewalld.zoneOf.get(bridgeName!), 'docker');
  await networks.remove(spec.id);
  assert.deepEqual([...firewalld.zoneOf.keys()], [bridge.bridgeName, bridge6.bridgeName]);
});

test('a firewalld that answers late is asked again', async () => {
  writeRules();
  await wait(1500);
  assert.equal((await reached()).out, false);
  await using _firewalld = await FakeFirewalld.start(join(folder.path, 'bus'), ['trusted']);
  await eventually(all, 'when it answers');
});

test('UFW itself: enabled, rejecting, reloaded, with a rule of the user’s, while a container runs', async (t) => {
  if (!has('ufw')) return t.skip('ufw is not installed');
  const ours = ['/etc/ufw', '/etc/default', '/lib/ufw'];
  for (const path of ours) cpSync(path, join(folder.path, path), { recursive: true });
  const mounts = ours.map((path) => `mount --bind ${join(folder.path, path)} ${path}`).join(' && ');
  const ufw = (line: string) =>
    execFileSync('unshare', ['-m', '--propagation', 'private', 'sh', '-c', `${mounts} && ufw ${line}`], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
  ufw('--force enable');
  await eventuallyBoth(all, 'enabled');
  ufw('default reject routed');
  await eventuallyBoth(all, 'rejecting');
  ufw('reload');
  await eventuallyBoth(all, 'reloaded');
  for (const from of [outsideAddress, outsideAddress6]) ufw(`route deny proto tcp from ${from} to any port 80`);
  await eventuallyBoth({ ...all, in: false }, 'denied');
  ufw('disable');
  await eventuallyBoth(all, 'disabled');
  ufw('--force enable');
  await eventuallyBoth({ ...all, in: false }, 'denied when enabled again');
  ufw('disable');
});

for (const backend of ['nftables', 'iptables']) {
  test(`firewalld itself, writing ${backend}: started, reloaded and started again while a container runs`, async (t) => {
    for (const needed of ['firewall-cmd', 'dbus-daemon']) if (!has(needed)) return t.skip(`${needed} is not installed`);
    using _bus = await startBus();
    const config = join(folder.path, `firewalld-${backend}`);
    mkdirSync(config);
    writeFileSync(join(config, 'firewalld.conf'), `DefaultZone=public\nFirewallBackend=${backend}\n`);
    const run = () => spawn('firewalld', ['--nofork', '--nopid', '--system-config', config], { stdio: 'ignore' });
    let firewalld = run();
    try {
      await started();
      await eventuallyBoth(all, 'started');
      for (const how of ['--reload', '--complete-reload']) {
        execFileSync('firewall-cmd', ['-q', how], { timeout: 20_000 });
        await eventuallyBoth(all, how);
      }
      firewalld.kill();
      await once(firewalld, 'exit');
      firewalld = run();
      await started();
      await eventuallyBoth(all, 'started again');
      const closed = await ask(host.outside, 'tcp', '172.17.0.2', 80);
      assert.doesNotMatch(closed, /^a /, 'no way in but what is published');
      const closed6 = await ask(host.outside, 'tcp', bridge6.ipv6!.subnet!.replace('/64', '2'), 80);
      assert.doesNotMatch(closed6, /^b /, 'nor over IPv6');
    } finally {
      firewalld.kill();
      if (firewalld.exitCode === null && firewalld.signalCode === null) await once(firewalld, 'exit');
    }
  });
}

async function started(): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    if (spawnSync('firewall-cmd', ['-q', '--state'], { stdio: 'ignore', timeout: 5000 }).status === 0) return;
    await wait(100);
  }
  assert.fail('firewalld does not start');
}

/** The system's bus of this test: everybody may own and call everything. */
async function startBus(): Promise<Disposable> {
  const config = join(folder.path, 'bus.conf');
  const policy =
    '<allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/><allow user="*"/><allow send_type="method_call"/>';
  const listen = `<listen>unix:path=${join(folder.path, 'bus')}</listen><auth>EXTERNAL</auth>`;
  writeFileSync(
    config,
    `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
      "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
    <busconfig><type>system</type>${listen}<policy context="default">${policy}</policy></busconfig>`,
  );
  const child = spawn('dbus-daemon', [`--config-file=${config}`, '--nofork', '--print-address'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout!, 'data');
  return { [Symbol.dispose]: () => child.kill() };
}
