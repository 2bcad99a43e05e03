import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { containerSetup, daemonWords, lines } from './containers-fixture.ts';

const parent = `wmv${process.pid % 100000}`;
const peer = `${parent}p`;
const ip = (...args: string[]) => execFileSync('ip', args, { encoding: 'utf8' });

/** Whether the kernel has this kind of link. */
function has(kind: string, ...options: string[]): boolean {
  const name = `wprobe${process.pid % 10000}`;
  const made = spawnSync('ip', ['link', 'add', 'link', parent, 'name', name, 'type', kind, ...options]).status === 0;
  if (made) ip('link', 'delete', name);
  return made;
}

test('networks on a link of the machine', async (t) => {
  await using setup = await containerSetup(t);
  if (!setup) return;
  const { docker, daemon, run, sh } = setup;
  ip('link', 'add', parent, 'type', 'veth', 'peer', 'name', peer);
  t.after(() => ip('link', 'delete', parent));
  ip('link', 'set', parent, 'up');
  ip('link', 'set', peer, 'up');
  ip('addr', 'add', '10.214.0.1/24', 'dev', peer);
  ip('addr', 'add', 'fd00:214::1/64', 'dev', peer, 'nodad');
  const refusal = async (...args: string[]) => {
    const { status, stderr } = await docker.run(args);
    assert.equal(status, 1, args.join(' '));
    return stderr.split('\n', 1)[0]!.replace('Error response from daemon: ', '');
  };
  const create = (driver: string, ...flags: string[]) => docker.ok('network', 'create', '-d', driver, ...flags);
  const inspect = async (name: string) => JSON.parse(await docker.ok('network', 'inspect', name))[0];
  const inside = async (container: string, script: string) =>
    (await docker.ok('exec', container, 'sh', '-c', script)).trim();
  const sleeper = (name: string, ...flags: string[]) =>
    docker.ok('run', '-d', '--name', name, '--dns', '127.0.0.198', ...flags, 'base', 'sleep', '1000');
  const placeOf = async (container: string, network: string) =>
    JSON.parse(await docker.ok('inspect', container))[0].NetworkSettings.Networks[network];

  await t.test('what can be no such network is refused in Docker’s words', async () => {
    const refused = (driver: string, ...options: string[]) =>
      refusal('network', 'create', '-d', driver, ...options.flatMap((option) => ['-o', option]), 'x');
    assert.equal(
      await refused('macvlan', `parent=${parent}`, 'macvlan_mode=bogus'),
      "requested macvlan mode 'bogus' is not valid, 'bridge' mode is the macvlan driver default",
    );
    assert.equal(
      await refused('ipvlan', `parent=${parent}`, 'ipvlan_mode=bogus'),
      "requested ipvlan mode 'bogus' is not valid, 'l2' mode is the ipvlan driver default",
    );
    assert.equal(
      await refused('ipvlan', `parent=${parent}`, 'ipvlan_flag=bogus'),
      "requested ipvlan flag 'bogus' is not valid, 'bridge' is the ipvlan driver default",
    );
    assert.equal(
      await refused('macvlan', 'parent=nosuch'),
      'invalid subinterface vlan name nosuch, example formatting is eth0.10',
    );
    assert.equal(await refused('macvlan', 'parent=nosuch.50'), '-o parent interface was not found on the host: nosuch');
    assert.equal(await refused('macvlan', `parent=${parent}.9999`), 'vlan id must be between 1-4094, received: 9999');
    assert.equal(await refused('macvlan', 'parent=lo'), 'loopback interface is not a valid macvlan parent link');
    assert.deepEqual(await docker.ok('network', 'ls', '-q', '--filter', 'type=custom'), '');
  });

  await t.test('inspect tells what was asked for', async () => {
    await create('macvlan', '-o', `parent=${parent}`, '-o', 'macvlan_mode=private', '--internal', 'inner');
    const inner = await inspect('inner');
    assert.deepEqual(
      [inner.Driver, inner.Scope, inner.Internal, inner.Options],
      ['macvlan', 'local', true, { macvlan_mode: 'private', parent }],
    );
    assert.deepEqual(Object.keys(inner.IPAM.Config[0]), ['Subnet'], 'it leads nowhere');
    await create('ipvlan', '-o', `parent=${peer}`, '-o', 'ipvlan_mode=l3', '--subnet', '10.215.0.0/24', 'three');
    assert.deepEqual((await inspect('three')).IPAM.Config, [{ Subnet: '10.215.0.0/24' }]);
    assert.match(
      await refusal('network', 'create', '-d', 'macvlan', '-o', `parent=${parent}`, '-o', 'macvlan_mode=passthru', 'x'),
      new RegExp(`^cannot use mode passthru, macvlan network ${inner.Id} is already using parent interface ${parent}$`),
    );
    await docker.ok('network', 'rm', 'inner', 'three');
  });

  if (!has('macvlan')) t.diagnostic('NOT TESTED: this kernel has no macvlan');
  else {
    await t.test('macvlan: containers are on the network of the parent', async () => {
      const subnets = ['--subnet', '10.214.0.0/24', '--ipv6', '--subnet', 'fd00:214::/64'];
      await create('macvlan', '-o', `parent=${parent}`, '-o', 'com.docker.network.driver.mtu=1400', ...subnets, 'mac');
      await sleeper('one', '--network', 'mac', '-p', '80');
      await sleeper('two', '--network', 'mac', '--ip', '10.214.0.77', '--mac-address', '02:11:22:33:44:55');
      const place = await placeOf('two', 'mac');
      assert.deepEqual(
        [place.IPAddress, place.IPPrefixLen, place.Gateway, place.MacAddress, place.IPv6Gateway],
        ['10.214.0.77', 24, '10.214.0.1', '02:11:22:33:44:55', 'fd00:214::1'],
      );
      assert.equal(await inside('two', 'cat /sys/class/net/eth0/mtu'), '1400');
      assert.match(await inside('two', 'ip route'), /^default via 10\.214\.0\.1 dev eth0/m);
      assert.match(await inside('one', 'ping -c 1 -w 5 10.214.0.1'), / 0% packet loss/, 'who is on that network');
      assert.match(await inside('one', 'ping -6 -c 1 -w 5 fd00:214::1'), / 0% packet loss/);
      assert.match(await inside('one', 'ping -c 1 -w 5 two'), / 0% packet loss/, 'each other, by name');
      assert.match(await inside('one', 'cat /etc/hosts'), /^10\.214\.0\.2\t\w{12}$/m);
      assert.deepEqual(JSON.parse(await docker.ok('inspect', 'one'))[0].NetworkSettings.Ports, {});
      const kinds = ['--filter', 'network=mac', '--filter', 'event=connect', '--format', '{{.Actor.Attributes.type}}'];
      const events = await docker.ok('events', '--since', '5m', '--until', '0s', ...kinds);
      assert.deepEqual(lines(events), ['macvlan', 'macvlan']);
      const { Containers } = await inspect('mac');
      assert.equal(Object.keys(Containers).length, 2);
      assert.match(
        await refusal('network', 'rm', 'mac'),
        /^error while removing network: network mac has active endpoints/,
      );
    });

    await t.test('addresses come back with their containers', async () => {
      for (let times = 0; times < 3; times++) {
        assert.match(await sh(['--network', 'mac'], 'ip -4 addr show eth0'), /inet 10\.214\.0\.3\/24/);
      }
      const taken = await run(['--network', 'mac', '--mac-address', '02:11:22:33:44:55'], ['true']);
      assert.match(daemonWords(docker, taken), /^failed to set up container networking: .*address already in use/);
      assert.match(await sh(['--network', 'mac'], 'ip -4 addr show eth0'), /inet 10\.214\.0\.3\/24/);
    });

    await t.test('several subnets of a family', async () => {
      const pools = ['10.217.1.0/29', '10.217.2.0/24', 'fd00:217:1::/64', 'fd00:217:2::/64'];
      const flags = pools.flatMap((pool) => ['--subnet', pool]);
      await create('macvlan', '-o', `parent=${parent}`, '--ipv6', ...flags, 'wide');
      const { Config } = (await inspect('wide')).IPAM;
      assert.deepEqual(Config.map(({ Subnet }: { Subnet: string }) => Subnet).sort(), [...pools].sort());
      const first = Config[0].Subnet as string;
      const both = ['--network', 'wide', '--ip', '10.217.2.7', '--ip6', 'fd00:217:2::7'];
      const chosen = await sh(both, 'ip addr; ip route');
      for (const part of ['inet 10.217.2.7/24', 'inet6 fd00:217:2::7/64', 'default via 10.217.2.1']) {
        assert.ok(chosen.includes(part), `${part} in ${chosen}`);
      }
      await sleeper('full', '--network', 'wide');
      assert.ok(first.startsWith((await placeOf('full', 'wide')).IPAddress.split('.').slice(0, 3).join('.')));
      const refused = await run(['--network', 'wide', '--ip', '10.217.3.1'], ['true']);
      assert.match(refused.stderr, /no configured subnet or ip-range contain the IP address 10\.217\.3\.1/);
      await daemon.kill();
      await daemon.start();
      const taken = (await placeOf('full', 'wide')).IPAddress;
      const again = await run(['--network', 'wide', '--ip', taken], ['true']);
      assert.match(again.stderr, /Address already in use/);
      await docker.ok('rm', '-f', 'full');
      await docker.ok('network', 'rm', 'wide');
    });

    await t.test('with a bridge, live: the default route and ports go with the bridge', async () => {
      await create('macvlan', '-o', `parent=${peer}`, '--subnet', '10.216.0.0/24', 'zone');
      await sleeper('three', '--network', 'zone', '-p', '80');
      await docker.ok('network', 'connect', 'bridge', 'three');
      assert.match(await inside('three', 'ip route'), /^default via 172\.\S+ dev eth1/m);
      assert.match(await docker.ok('port', 'three', '80'), /^0\.0\.0\.0:\d+$/m);
      await docker.ok('network', 'disconnect', 'zone', 'three');
      assert.doesNotMatch(await inside('three', 'ip addr'), /10\.216\.0/);
      await docker.ok('network', 'connect', 'zone', 'three');
      await docker.ok('network', 'disconnect', 'bridge', 'three');
      assert.match(await inside('three', 'ip route'), /^default via 10\.216\.0\.1 dev eth0/m);
      assert.equal((await docker.run(['port', 'three', '80'])).stdout, '');
      await docker.ok('rm', '-f', 'three');
      await docker.ok('network', 'rm', 'zone');
    });

    await t.test('an internal one has no way out', async () => {
      await create('macvlan', '-o', `parent=${peer}`, '--internal', 'inner');
      assert.doesNotMatch(await sh(['--network', 'inner'], 'ip route'), /default/);
      await docker.ok('network', 'rm', 'inner');
    });

    await t.test('a daemon that is killed leaves it all to the next one', async () => {
      await daemon.kill();
      await daemon.start();
      assert.match(await inside('one', 'ping -c 1 -w 5 two'), / 0% packet loss/);
      assert.match(await sh(['--network', 'mac'], 'ip -4 addr show eth0'), /inet 10\.214\.0\.3\/24/);
      await docker.ok('rm', '-f', 'one', 'two');
      await docker.ok('network', 'rm', 'mac');
      assert.equal(lines(ip('-o', 'link', 'show', 'type', 'macvlan')).length, 0);
    });
  }

  await t.test('a kind of link that the kernel lacks is named', async () => {
    const lacking = / \(?operation not supported/;
    if (has('ipvlan')) t.diagnostic('this kernel has ipvlan');
    else {
      await create('ipvlan', '-o', `parent=${parent}`, '--subnet', '10.214.0.0/24', 'ipv');
      const said = daemonWords(docker, await run(['--network', 'ipv'], ['true']));
      assert.match(
        said,
        /^failed to set up container networking: failed to create the ipvlan port: operation not supp/,
      );
      await docker.ok('network', 'rm', 'ipv');
    }
    if (has('vlan', 'id', '50')) t.diagnostic('this kernel has VLANs');
    else {
      const said = await refusal('network', 'create', '-d', 'macvlan', '-o', `parent=${parent}.50`, 'x');
      assert.match(said, new RegExp(`^failed to create ${parent}\\.50 vlan link: operation not supported`));
    }
    if (!has('dummy')) assert.match(await refusal('network', 'create', '-d', 'macvlan', 'x'), lacking);
  });

  if (has('ipvlan')) {
    await t.test('ipvlan: containers are on the network of the parent', async () => {
      await create('ipvlan', '-o', `parent=${parent}`, '--subnet', '10.214.0.0/24', 'ipv');
      assert.match(await sh(['--network', 'ipv'], 'ping -c 1 -w 5 10.214.0.1'), / 0% packet loss/);
      await docker.ok('network', 'rm', 'ipv');
    });
  } else t.diagnostic('NOT TESTED: this kernel has no ipvlan');
  if (has('vlan', 'id', '50')) {
    await t.test('a VLAN is made for a network and goes with it', async () => {
      await create('macvlan', '-o', `parent=${parent}.50`, 'tagged');
      assert.match(ip('-d', 'link', 'show', `${parent}.50`), /vlan protocol 802\.1Q id 50/);
      await docker.ok('network', 'rm', 'tagged');
      assert.throws(() => ip('link', 'show', `${parent}.50`));
    });
  } else t.diagnostic('NOT TESTED: this kernel has no VLANs');
});
