import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { containerSetup, daemonWords, lines, until } from './containers-fixture.ts';

const hasIPv6 = readdirSync('/proc/net').includes('if_inet6');
const skip = hasIPv6 ? false : 'this machine has no IPv6';
const served = ['base', 'sh', '-c', 'echo hi > /index.html; exec httpd -f -p 80 -h /'];
const curl = (url: string) =>
  execFileSync('curl', ['-gs', '--max-time', '5', '--retry', '10', '--retry-connrefused', url], { encoding: 'utf8' });

test('networks with IPv6', { skip }, async (t) => {
  await using setup = await containerSetup(t);
  if (!setup) return;
  const { docker, daemon, run, sh } = setup;
  const refusal = async (...args: string[]) => {
    const { status, stderr } = await docker.run(args);
    assert.equal(status, 1, args.join(' '));
    return stderr.replace('Error response from daemon: ', '').trimEnd();
  };
  const inspect = async (name: string) => JSON.parse(await docker.ok('network', 'inspect', name))[0];
  const placeOf = async (container: string, network: string) =>
    JSON.parse(await docker.ok('inspect', container))[0].NetworkSettings.Networks[network];
  const inside = async (container: string, script: string) =>
    (await docker.ok('exec', container, 'sh', '-c', script)).trim();
  const sleeper = (name: string, ...flags: string[]) =>
    docker.ok('run', '-d', '--name', name, '--dns', '127.0.0.198', ...flags, 'base', 'sleep', '1000');
  const forms = async (name: string) => {
    const { EnableIPv4, EnableIPv6, IPAM } = await inspect(name);
    return [EnableIPv4, EnableIPv6, IPAM.Config];
  };

  await t.test('subnets are chosen from a pool of the daemon’s own, or as the user says', async () => {
    await docker.ok('network', 'create', '--ipv6', 'chosen');
    const [ipv4, ipv6, [pool4, pool6]] = await forms('chosen');
    assert.deepEqual([ipv4, ipv6], [true, true]);
    assert.match(pool4.Subnet, /^[0-9.]+\/\d+$/);
    assert.match(pool6.Subnet, /^fd[0-9a-f]{2}(:[0-9a-f]{1,4}){2,3}::\/64$/);
    assert.equal(pool6.Gateway, pool6.Subnet.replace('/64', '1'));
    const flags = ['--subnet', 'fd00:9::/64', '--gateway', 'fd00:9::fe', '--ip-range', 'fd00:9::100/120'];
    const aux = ['--aux-address', 'x=fd00:9::100'];
    await docker.ok('network', 'create', '--ipv6', ...flags, ...aux, '--subnet', '10.213.9.0/24', 'both');
    assert.deepEqual(await forms('both'), [
      true,
      true,
      [
        { Subnet: '10.213.9.0/24' },
        {
          Subnet: 'fd00:9::/64',
          IPRange: 'fd00:9::100/120',
          Gateway: 'fd00:9::fe',
          AuxiliaryAddresses: { x: 'fd00:9::100' },
        },
      ],
    ]);
    await docker.ok('network', 'create', '--ipv6', '--subnet', 'fd00:8::/64', 'half');
    const [, , [given, made]] = await forms('half');
    assert.deepEqual(given, { Subnet: 'fd00:8::/64' });
    assert.match(made.Subnet, /^[0-9.]+\/\d+$/, 'what was chosen comes after what was given');
    await docker.ok('network', 'rm', 'chosen', 'half');
  });

  await t.test('what is no network of IPv6 is refused in Docker’s words', async () => {
    const create = (...args: string[]) => refusal('network', 'create', '--ipv6', ...args, 'x');
    assert.equal(
      await create('--subnet', 'fd00:5::1/64'),
      'invalid network config:\ninvalid subnet fd00:5::1/64: it should be fd00:5::/64',
    );
    assert.equal(
      await create('--subnet', 'fd00:9::/80'),
      'invalid pool request: Pool overlaps with other one on this address space',
    );
    assert.equal(await create('--subnet', 'ff00::/64'), "multicast subnet 'ff00::1/64' is not allowed");
    assert.equal(
      await create('--subnet', 'fd00:5::/64', '--subnet', 'fd00:6::/64'),
      "bridge driver doesn't support multiple subnets",
    );
    const mode = 'com.docker.network.bridge.gateway_mode_ipv6';
    assert.equal(
      await create('-o', `${mode}=bogus`),
      `failed to parse ${mode} value: bogus (unknown gateway mode bogus)`,
    );
    assert.equal(
      await create('-o', `${mode}=isolated`),
      "gateway mode 'isolated' can only be used for an internal network",
    );
    assert.equal(
      (await create('-o', 'com.docker.network.driver.mtu=1200')).replaceAll(/br-[0-9a-f]{12}/g, 'BR'),
      'Cannot read IPv6 setup for bridge BR: open /proc/sys/net/ipv6/conf/BR/disable_ipv6: no such file or directory',
    );
    assert.deepEqual(lines(await docker.ok('network', 'ls', '--filter', 'type=custom', '--format', '{{.Name}}')), [
      'both',
    ]);
  });

  await t.test('a container has addresses, routes, names and lines in hosts of both families', async () => {
    await sleeper('one', '--network', 'both');
    await sleeper('two', '--network', 'both', '--ip6', 'fd00:9::7');
    const { GlobalIPv6Address, GlobalIPv6PrefixLen, IPv6Gateway, IPAMConfig } = await placeOf('two', 'both');
    assert.deepEqual(
      [GlobalIPv6Address, GlobalIPv6PrefixLen, IPv6Gateway, IPAMConfig],
      ['fd00:9::7', 64, 'fd00:9::fe', { IPv6Address: 'fd00:9::7' }],
    );
    assert.equal((await placeOf('one', 'both')).GlobalIPv6Address, 'fd00:9::101', 'after the auxiliary address');
    const { Containers } = await inspect('both');
    const shown = Object.values<{ Name: string; IPv6Address: string }>(Containers).map(
      ({ Name, IPv6Address }) => `${Name} ${IPv6Address}`,
    );
    assert.deepEqual(shown.sort(), ['one fd00:9::101/64', 'two fd00:9::7/64']);
    assert.match(await inside('one', 'ip -6 route'), /^default via fd00:9::fe dev eth0/m);
    assert.match(await inside('one', 'cat /etc/hosts'), /^10\.213\.9\.2\t\w{12}\nfd00:9::101\t\w{12}$/m);
    assert.match(await inside('one', 'ping -6 -c 1 -w 5 two'), /from fd00:9::7/);
    assert.match(await inside('one', 'nslookup -type=aaaa two'), /^Address: fd00:9::7$/m);
    assert.match(await inside('one', 'nslookup fd00:9::7'), /ip6\.arpa\s+name = two\.both$/m);
    assert.match(await inside('one', 'ping -6 -c 1 -w 5 fd00:9::fe'), / 0% packet loss/);
  });

  await t.test('addresses that cannot be had are refused in Docker’s words', async () => {
    const refused = async (...flags: string[]) => daemonWords(docker, await run(flags, ['true']));
    const on = (network: string, address: string) => refused('--network', network, '--ip6', address);
    assert.equal(await on('both', 'fd00:9::7'), 'failed to set up container networking: Address already in use');
    const whole = async (network: string, address: string) =>
      (await run(['--network', network, '--ip6', address], ['true'])).stderr;
    assert.match(await whole('both', 'fd00::1'), /no configured subnet or ip-range contain the IP address fd00::1/);
    assert.match(
      await whole('both', 'zz'),
      /\* invalid IPv6 address: zz\n\* no configured subnet or ip-range contain the IP address zz/,
    );
    await docker.ok('network', 'create', 'four');
    assert.match(await whole('four', 'fd00::1'), /only when connecting to networks with user configured subnets/);
  });

  await t.test('a container without a network of IPv6 has none, and gets it with its first', async () => {
    const disabled = 'cat /proc/sys/net/ipv6/conf/eth*/disable_ipv6';
    assert.equal(await sh([], disabled), '1');
    await sleeper('late', '--network', 'four');
    await docker.ok('network', 'connect', '--ip6', 'fd00:9::33', 'both', 'late');
    assert.deepEqual(lines(await inside('late', disabled)), ['1', '0']);
    assert.match(await inside('late', 'ip -6 route'), /^default via fd00:9::fe dev eth1/m);
    assert.match(await inside('late', 'cat /etc/hosts'), /^fd00:9::33\t/m);
    await docker.ok('network', 'disconnect', 'both', 'late');
    assert.doesNotMatch(await inside('late', 'ip -6 route; cat /etc/hosts'), /fd00:9:/);
    await docker.ok('rm', '-f', 'late');
    await docker.ok('network', 'rm', 'four');
  });

  await t.test('ports are published on both families, whether the container has both or not', async () => {
    for (const network of ['both', 'bridge']) {
      await docker.ok('run', '-d', '--name', 'web', '--network', network, '-p', '80', ...served);
      const [ipv4 = '', ipv6 = ''] = lines(await docker.ok('port', 'web', '80'));
      assert.match(ipv4, /^0\.0\.0\.0:\d+$/);
      assert.equal(ipv6, ipv4.replace('0.0.0.0', docker.olderThan(23) ? '::' : '[::]'));
      const port = ipv4.split(':')[1];
      assert.equal(curl(`http://127.0.0.1:${port}/`), 'hi\n');
      assert.equal(curl(`http://[::1]:${port}/`), 'hi\n');
      await docker.ok('rm', '-f', 'web');
    }
  });

  await t.test('routed: a published port has no host port', async () => {
    const modes = ['ipv4', 'ipv6'].flatMap((family) => [
      '-o',
      `com.docker.network.bridge.gateway_mode_${family}=routed`,
    ]);
    await docker.ok('network', 'create', '--ipv6', ...modes, 'routed');
    await docker.ok('run', '-d', '--name', 'web', '--network', 'routed', '-p', '8099:80', ...served);
    const { Ports, Networks } = JSON.parse(await docker.ok('inspect', 'web'))[0].NetworkSettings;
    assert.deepEqual(Ports['80/tcp'], [
      { HostIp: '0.0.0.0', HostPort: '' },
      { HostIp: '::', HostPort: '' },
    ]);
    assert.equal(curl(`http://[${Networks.routed.GlobalIPv6Address}]/`), 'hi\n');
    assert.match(await docker.ok('ps', '--format', '{{.Ports}}', '--filter', 'name=web'), /->80\/tcp, .*->80\/tcp/);
    await docker.ok('rm', '-f', 'web');
    await docker.ok('network', 'rm', 'routed');
  });

  await t.test('a network of IPv6 alone', async () => {
    if (docker.olderThan(28)) return;
    assert.equal(await refusal('network', 'create', '--ipv4=false', 'x'), 'IPv4 or IPv6 must be enabled');
    await docker.ok('network', 'create', '--ipv6', '--ipv4=false', 'six');
    const [ipv4, ipv6, pools] = await forms('six');
    assert.deepEqual([ipv4, ipv6, pools.length], [false, true, 1]);
    await docker.ok('run', '-d', '--name', 'web', '--network', 'six', '-p', '80', '-p', '127.0.0.1:0:80', ...served);
    const place = await placeOf('web', 'six');
    assert.deepEqual([place.IPAddress, place.Gateway, place.IPPrefixLen], ['', '', 0]);
    const published = lines(await docker.ok('port', 'web', '80'));
    assert.deepEqual([published.length, published[0]!.slice(0, 5)], [1, '[::]:']);
    assert.equal(curl(`http://[::1]:${published[0]!.slice(5)}/`), 'hi\n');
    assert.doesNotMatch(await inside('web', 'ip -4 addr show eth0'), /inet /);
    assert.match(await sh(['--network', 'six'], 'wget -q -O - http://web/'), /^hi$/);
    await docker.ok('network', 'connect', 'bridge', 'web');
    assert.deepEqual(
      lines(await docker.ok('port', 'web', '80')).filter((line) => line.endsWith(published[0]!.slice(4))).length,
      2,
      'the port it had, on the family that came too',
    );
    await docker.ok('rm', '-f', 'web');
    await docker.ok('network', 'rm', 'six');
  });

  await t.test('a daemon that is killed leaves it all to the next one', async () => {
    await docker.ok('run', '-d', '--name', 'web', '--network', 'both', '-p', '80', ...served);
    const port = lines(await docker.ok('port', 'web', '80'))[0]!.split(':')[1];
    await daemon.kill();
    await daemon.start();
    assert.equal(curl(`http://[::1]:${port}/`), 'hi\n');
    assert.match(await inside('one', 'nslookup -type=aaaa two'), /^Address: fd00:9::7$/m);
    assert.match(await inside('one', 'ping -6 -c 1 -w 5 two'), / 0% packet loss/);
    assert.equal((await forms('both'))[1], true);
    await docker.ok('rm', '-f', 'one', 'two', 'web');
    await docker.ok('network', 'rm', 'both');
    assert.doesNotMatch(execFileSync('ip', ['-6', 'route'], { encoding: 'utf8' }), /fd00:9:/);
  });
});

test('the default bridge with IPv6', { skip }, async (t) => {
  await using setup = await containerSetup(t, ['--ipv6', '--fixed-cidr-v6', 'fd00:77::/80']);
  if (!setup) return;
  const { docker, sh } = setup;
  const [bridge] = JSON.parse(await docker.ok('network', 'inspect', 'bridge'));
  assert.equal(bridge.EnableIPv6, true);
  assert.deepEqual(bridge.IPAM.Config[0], { Subnet: 'fd00:77::/80', IPRange: 'fd00:77::/80' });
  await docker.ok('run', '-d', '--name', 'web', '-p', '80', ...served);
  const { NetworkSettings } = JSON.parse(await docker.ok('inspect', 'web'))[0];
  assert.deepEqual(
    [NetworkSettings.GlobalIPv6Address, NetworkSettings.GlobalIPv6PrefixLen, NetworkSettings.IPv6Gateway],
    ['fd00:77::2', 80, 'fd00:77::1'],
  );
  assert.match(await sh([], 'cat /etc/hosts'), /^fd00:77::3\t\w{12}$/m);
  assert.equal(await sh([], 'wget -q -O - http://[fd00:77::2]/'), 'hi');
  const port = lines(await docker.ok('port', 'web', '80'))[0]!.split(':')[1];
  await until(
    async () => curl(`http://[::1]:${port}/`),
    (body) => body === 'hi\n',
  );
  assert.equal(readFileSync('/proc/sys/net/ipv6/conf/all/forwarding', 'utf8'), '1\n');
});
