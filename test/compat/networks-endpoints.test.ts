import assert from 'node:assert/strict';
import { test } from 'node:test';
import { containerSetup, daemonWords } from './containers-fixture.ts';

const prefix = 'com.docker.network.endpoint';

test('what an endpoint says of its link', async (t) => {
  await using setup = await containerSetup(t);
  if (!setup) return;
  const { docker, run, sh } = setup;
  await docker.ok('network', 'create', '--subnet', '10.219.0.0/24', 'one');
  await docker.ok('network', 'create', 'two');
  await docker.ok('network', 'create', '--ipv6', '--subnet', 'fd00:219::/64', 'six');
  const on = (network: string, ...options: string[]) => ['--network', [`name=${network}`, ...options].join(',')];
  const option = (name: string, value: string) => `"driver-opt=${prefix}.${name}=${value}"`;
  const refusal = async (...flags: string[]) => {
    const { stderr, status } = await run(flags, ['true']);
    assert.ok(status === 125 || status === 126, `status ${status}`);
    const said = stderr
      .replace(/^docker: Error response from daemon: /, '')
      .replace(/\.?\n\n?(Run|See) 'docker run.*\n/, '');
    return said.trim().replace(/^failed to set up container networking: failed to add interface \S+ to sandbox: /, '');
  };

  await t.test('a name for a container that comes later', async () => {
    const sleeper = (name: string, ...flags: string[]) =>
      docker.ok('run', '-d', '--name', name, '--network', 'one', ...flags, 'base', 'sleep', '1000');
    await sleeper('early', '--link', 'late:alias');
    await sleeper('late');
    assert.match(await docker.ok('exec', 'early', 'ping', '-c', '1', '-w', '5', 'alias'), / 0% packet loss/);
    await docker.ok('rm', '-f', 'early', 'late');
  });

  await t.test('addresses of the link itself', async () => {
    const own = await sh(on('one', 'link-local-ip=169.254.7.7', 'link-local-ip=169.254.7.8'), 'ip -o addr show eth0');
    assert.match(own, /inet 10\.219\.0\.\d+\/24 /);
    assert.match(own, /inet 169\.254\.7\.7\/16 brd 169\.254\.255\.255 scope global eth0/);
    assert.match(own, /inet 169\.254\.7\.8\/16 /);
    assert.match(
      await sh(on('six', 'link-local-ip=fe80::1234'), 'ip -o addr show eth0'),
      /inet6 fe80::1234\/64 scope link/,
    );
    assert.match(await sh(['--link-local-ip', '169.254.1.1'], 'ip -o addr show eth0'), /inet 169\.254\.1\.1\/16/);
    await docker.ok('run', '-d', '--name', 'long', ...on('one', 'link-local-ip=169.254.7.7'), 'base', 'sleep', '1000');
    const [{ NetworkSettings }] = JSON.parse(await docker.ok('inspect', 'long'));
    assert.deepEqual(NetworkSettings.Networks.one.IPAMConfig, { LinkLocalIPs: ['169.254.7.7'] });
    assert.match(await sh(on('one', 'link-local-ip=169.254.7.9'), 'ping -c 1 -w 5 169.254.7.7'), / 0% packet loss/);
    assert.match(
      await refusal(...on('one', 'link-local-ip=fe80::9')),
      /^error setting interface "eth0" link local IPs to \[fe80::9\/64\]: permission denied/,
    );
    assert.equal(
      await refusal(...on('one', 'link-local-ip=1.2.3.4')),
      'failed to set up container networking: invalid link local IP address: 1.2.3.4',
    );
    assert.equal(
      await refusal(...on('one', 'link-local-ip=bogus', 'ip=1.2.3.4')),
      'invalid config for network one: invalid endpoint settings:\n* invalid link-local IP address: bogus\n' +
        '* no configured subnet or ip-range contain the IP address 1.2.3.4',
    );
  });

  await t.test('a name of one’s own', async () => {
    const names = async (...flags: string[]) => (await sh(flags, 'ls /sys/class/net')).split('\n');
    assert.deepEqual(await names(...on('one', option('ifname', 'wan0'))), ['lo', 'wan0']);
    assert.deepEqual(await names(...on('bridge', option('ifname', 'wan%d'))), ['lo', 'wan0']);
    assert.deepEqual(await names(...on('one', option('ifname', 'eth1')), ...on('two')), ['eth0', 'eth1', 'lo']);
    const leads = await sh([...on('one', option('ifname', 'up0'), 'gw-priority=1'), ...on('two')], 'ip route');
    assert.match(leads, /^default via 10\.219\.0\.1 dev up0/m);
    const renaming = (name: string, reason: string) => `error renaming interface "eth0" to "${name}": ${reason}`;
    assert.equal(await refusal(...on('one', option('ifname', 'lo'))), renaming('lo', 'file exists'));
    assert.equal(await refusal(...on('one', option('ifname', 'a/b'))), renaming('a/b', 'invalid argument'));
    assert.equal(
      await refusal(...on('one', option('ifname', 'wan0')), ...on('two', option('ifname', 'wan0'))),
      renaming('wan0', 'file exists'),
    );
  });

  await t.test('settings of the kernel', async () => {
    const file = (name: string) => `/proc/sys/net/ipv4/conf/${name}`;
    const two = option('sysctls', 'net.ipv4.conf.IFNAME.log_martians=1,net.ipv4.conf.IFNAME.forwarding=0');
    assert.equal(await sh(on('one', two), `cat ${file('eth0')}/log_martians ${file('eth0')}/forwarding`), '1\n0');
    const both = [two, option('ifname', 'wan0')];
    assert.equal(await sh(on('one', ...both), `cat ${file('wan0')}/log_martians ${file('wan0')}/forwarding`), '1\n0');
    const sysctl = (value: string) => refusal(...on('one', option('sysctls', value)));
    assert.equal(
      await sysctl('net.ipv4.ip_forward=1'),
      'invalid config for network one: invalid endpoint settings:\n' +
        "unrecognised network interface sysctl 'net.ipv4.ip_forward=1'; represent 'net.X.Y.ethN.Z=V' as 'net.X.Y.IFNAME.Z=V', 'X' must be 'ipv4', 'ipv6' or 'mpls'",
    );
    assert.equal(
      await sysctl('net.ipv4.conf.IFNAME.nonesuch=1'),
      '/proc/sys/net/ipv4/conf/eth0/nonesuch is not a sysctl file',
    );
    assert.equal(
      await sysctl('net.ipv4.conf.IFNAME.log_martians'),
      "expected sysctl 'net.ipv4.conf.ifname.log_martians' to have format name=value",
    );
    assert.equal(
      await sysctl('net.ipv4.conf.IFNAME.log_martians=abc'),
      `unable to write to '${file('eth0')}/log_martians': write ${file('eth0')}/log_martians: invalid argument`,
    );
    if (docker.olderThan(28)) return;
    const ran = await run(['--sysctl', 'net.ipv4.conf.eth0.log_martians=1'], ['true']);
    assert.equal(
      daemonWords(docker, ran),
      `interface specific sysctl setting "net.ipv4.conf.eth0.log_martians" must be supplied using driver option '${prefix}.sysctls'`,
    );
  });

  await t.test('connect while it runs, and every start after', async () => {
    const wishes = ['--link-local-ip', '169.254.8.8', '--driver-opt', `${prefix}.ifname=late0`];
    await docker.ok('network', 'connect', ...wishes, '--driver-opt', 'my.own=x', 'two', 'long');
    const shown = async () => await docker.ok('exec', 'long', 'ip', '-o', 'addr', 'show', 'late0');
    assert.match(await shown(), /inet 169\.254\.8\.8\/16/);
    await docker.ok('restart', '-t', '0', 'long');
    assert.match(await shown(), /inet 169\.254\.8\.8\/16/);
    const [{ NetworkSettings }] = JSON.parse(await docker.ok('inspect', 'long'));
    assert.deepEqual(NetworkSettings.Networks.two.DriverOpts, { 'my.own': 'x', [`${prefix}.ifname`]: 'late0' });
    const { status, stderr } = await docker.run([
      'network',
      'connect',
      '--driver-opt',
      `${prefix}.bogus=x`,
      'six',
      'long',
    ]);
    assert.equal(status, 1);
    assert.match(stderr, /EndpointConfig\.DriverOpts is not supported yet/);
  });
});
