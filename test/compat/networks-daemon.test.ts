/** What the daemon's flags decide for networks. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { containerSetup, lines, until } from './containers-fixture.ts';

test('addresses of the default bridge, and options of networks', async (t) => {
  const option = 'com.docker.network.driver.mtu';
  await using setup = await containerSetup(t, [
    ...['--bip', '10.220.0.1/16', '--fixed-cidr', '10.220.1.0/24', '--default-gateway', '10.220.0.9'],
    ...[
      '--ipv6',
      '--bip6',
      'fd00:220::5/64',
      '--fixed-cidr-v6',
      'fd00:220::100/120',
      '--default-gateway-v6',
      'fd00:220::9',
    ],
    ...[
      '--default-network-opt',
      `bridge=${option}=1234`,
      '--host-gateway-ip',
      '1.2.3.4',
      '--host-gateway-ip',
      'fd00::4',
    ],
  ]);
  if (!setup) return;
  const { docker, sh } = setup;
  const inspect = async (name: string) => JSON.parse(await docker.ok('network', 'inspect', name))[0];
  assert.deepEqual((await inspect('bridge')).IPAM.Config, [
    {
      Subnet: '10.220.0.0/16',
      IPRange: '10.220.1.0/24',
      Gateway: '10.220.0.1',
      AuxiliaryAddresses: { DefaultGatewayIPv4: '10.220.0.9' },
    },
    {
      Subnet: 'fd00:220::/64',
      IPRange: 'fd00:220::100/120',
      Gateway: 'fd00:220::5',
      AuxiliaryAddresses: { DefaultGatewayIPv6: 'fd00:220::9' },
    },
  ]);
  const seen = await sh(
    ['--add-host', 'h:host-gateway'],
    'ip -o addr show eth0; ip route; ip -6 route; cat /etc/hosts',
  );
  for (const part of ['inet 10.220.1.0/16', 'inet6 fd00:220::100/64', '1.2.3.4\th', 'fd00::4\th']) {
    assert.ok(seen.includes(part), `${part} in ${seen}`);
  }
  assert.match(seen, /^default via 10\.220\.0\.9 dev eth0/m);
  assert.match(seen, /^default via fd00:220::9 dev eth0/m);
  await docker.ok('network', 'create', 'small');
  assert.deepEqual((await inspect('small')).Options, { [option]: '1234' });
  assert.match(await sh(['--network', 'small'], 'ip link show eth0'), /mtu 1234/);
  await docker.ok('network', 'create', '-o', `${option}=1300`, 'own');
  assert.deepEqual((await inspect('own')).Options, { [option]: '1300' });
});

test('--fixed-cidr alone is the subnet', async (t) => {
  await using setup = await containerSetup(t, ['--fixed-cidr', '10.221.1.0/24']);
  if (!setup) return;
  const [{ IPAM }] = JSON.parse(await setup.docker.ok('network', 'inspect', 'bridge'));
  assert.deepEqual(IPAM.Config, [{ Subnet: '10.221.1.0/24', IPRange: '10.221.1.0/24' }]);
  assert.match(await setup.sh([], 'ip route'), /^default via 10\.221\.1\.1 /m);
});

const remote = `wdr${process.pid % 100000}`;
const ip = (...args: string[]) => execFileSync('ip', args, { encoding: 'utf8' });

/** A host that has a route to the addresses of containers. */
function makeRemote(): void {
  ip('netns', 'add', remote);
  ip('link', 'add', remote, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', remote);
  ip('addr', 'add', '10.222.0.1/24', 'dev', remote);
  ip('link', 'set', remote, 'up');
  ip('-n', remote, 'addr', 'add', '10.222.0.2/24', 'dev', 'eth0');
  ip('-n', remote, 'link', 'set', 'eth0', 'up');
  ip('-n', remote, 'route', 'add', 'default', 'via', '10.222.0.1');
}

const reaches = (address: string, port: number) =>
  spawnSync('ip', ['netns', 'exec', remote, 'curl', '-s', '-m', '1', `http://${address}:${port}/`]).status === 0;

for (const { title, flags, option } of [
  { title: '--allow-direct-routing', flags: ['--allow-direct-routing'], option: [] },
  {
    title: 'trusted_host_interfaces',
    flags: [],
    option: ['-o', `com.docker.network.bridge.trusted_host_interfaces=no:${remote}`],
  },
]) {
  test(`published ports at the container’s own address: ${title}`, async (t) => {
    await using setup = await containerSetup(t, flags);
    if (!setup) return;
    const { docker } = setup;
    makeRemote();
    t.after(() => ip('netns', 'delete', remote));
    const serve = async (name: string, network: string) => {
      const script = 'mkdir /w; cd /w; echo hi >index.html; httpd -p 80; httpd -p 81; exec sleep 1000';
      await docker.ok(
        'run',
        '-d',
        '--name',
        name,
        '--network',
        network,
        '-p',
        '127.0.0.1::80',
        'base',
        'sh',
        '-c',
        script,
      );
      const [port] = lines(await docker.ok('port', name, '80'));
      await until(
        async () => spawnSync('curl', ['-s', '-m', '1', `http://${port}/`]).status,
        (status) => status === 0,
      );
      return JSON.parse(await docker.ok('inspect', name))[0].NetworkSettings.Networks[network].IPAddress as string;
    };
    await docker.ok('network', 'create', ...option, 'open');
    const address = await serve('open', 'open');
    assert.ok(reaches(address, 80), 'published');
    assert.ok(!reaches(address, 81), 'not published');
    await docker.ok('rm', '-f', 'open');
    if (option.length === 0) return;
    await docker.ok('network', 'create', 'shut');
    assert.ok(!reaches(await serve('shut', 'shut'), 80), 'of another network');
  });
}
