import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { test } from 'node:test';
import { containerSetup, daemonWords, lines, until } from './containers-fixture.ts';

test('networks of users', async (t) => {
  await using setup = await containerSetup(t);
  if (!setup) return;
  const { docker, daemon, run, sh } = setup;
  const refusal = async (...args: string[]) => {
    const { status, stderr } = await docker.run(args);
    assert.equal(status, 1, args.join(' '));
    return stderr.split('\n', 1)[0]!.replace('Error response from daemon: ', '');
  };
  const inspect = async (name: string) => JSON.parse(await docker.ok('network', 'inspect', name))[0];
  const placeOf = async (container: string, network: string) =>
    JSON.parse(await docker.ok('inspect', container))[0].NetworkSettings.Networks[network];
  const inside = async (container: string, script: string) =>
    (await docker.ok('exec', container, 'sh', '-c', script)).trim();
  // A server outside that is known at once not to be there.
  const sleeper = (name: string, ...flags: string[]) =>
    docker.ok('run', '-d', '--name', name, '--dns', '127.0.0.198', ...flags, 'base', 'sleep', '1000');
  const addressOf = async (container: string, name: string) =>
    lines(await inside(container, `nslookup ${name} 2>/dev/null || true`))
      .flatMap((line) => /^Address: ([0-9.]+)$/.exec(line)?.[1] ?? [])
      .sort();

  await t.test('create, inspect, list, remove', async () => {
    const id = (await docker.ok('network', 'create', '--label', 'a=b', 'plain')).trim();
    const plain = await inspect('plain');
    assert.deepEqual([plain.Id, plain.Driver, plain.Scope, plain.Labels], [id, 'bridge', 'local', { a: 'b' }]);
    assert.match(plain.IPAM.Config[0].Subnet, /^[0-9.]+\/16$/);
    const config = ['--subnet', '10.213.0.0/24', '--ip-range', '10.213.0.128/25', '--gateway', '10.213.0.1'];
    await docker.ok('network', 'create', ...config, '--aux-address', 'printer=10.213.0.128', 'chosen');
    assert.deepEqual((await inspect('chosen')).IPAM.Config, [
      {
        Subnet: '10.213.0.0/24',
        IPRange: '10.213.0.128/25',
        Gateway: '10.213.0.1',
        AuxiliaryAddresses: { printer: '10.213.0.128' },
      },
    ]);
    assert.deepEqual(lines(await docker.ok('network', 'ls', '--format', '{{.Name}}')), [
      'bridge',
      'chosen',
      'host',
      'none',
      'plain',
    ]);
    const named = (filter: string) => docker.ok('network', 'ls', '--format', '{{.Name}}', '--filter', filter);
    assert.deepEqual(lines(await named('type=custom')), ['chosen', 'plain']);
    assert.deepEqual(lines(await named('label=a=b')), ['plain']);
    assert.deepEqual(lines(await named('dangling=true')), ['chosen', 'plain']);
    assert.equal(await docker.ok('network', 'rm', id.slice(0, 12)), `${id.slice(0, 12)}\n`);
    assert.equal(await docker.ok('network', 'prune', '-f'), 'Deleted Networks:\nchosen\n\n');
  });

  await t.test('what is no network is refused in Docker’s words', async () => {
    await docker.ok('network', 'create', '--subnet', '10.213.0.0/24', 'there');
    const create = (...args: string[]) => refusal('network', 'create', ...args);
    assert.equal(await create('there'), 'network with name there already exists');
    assert.equal(await create('host'), 'operation is not permitted on predefined host network');
    assert.equal(
      await create('--subnet', '10.213.0.0/25', 'x'),
      'invalid pool request: Pool overlaps with other one on this address space',
    );
    assert.equal(await create('-d', 'nosuch', 'x'), 'plugin "nosuch" not found');
    assert.equal(await create('-d', 'host', 'x'), 'only one instance of "host" network is allowed');
    assert.match(
      await create('-o', 'com.docker.network.bridge.enable_icc=zz', 'x'),
      /^failed to parse com\.docker\.net/,
    );
    for (const [name, value, why] of [
      ['host_ipv4', 'zz', 'nil ip'],
      ['host_ipv6', 'zz', 'nil ip'],
      ['bridge.inhibit_ipv4', 'zz', 'strconv.ParseBool: parsing "zz": invalid syntax'],
    ]) {
      const option = `com.docker.network.${name}`;
      assert.equal(await create('-o', `${option}=${value}`, 'x'), `failed to parse ${option} value: ${value} (${why})`);
    }
    assert.equal(await refusal('network', 'rm', 'bridge'), 'bridge is a pre-defined network and cannot be removed');
    const absent = docker.olderThan(25) ? 'Error: No such network: nosuch' : 'network nosuch not found';
    assert.equal(await refusal('network', 'rm', 'nosuch'), absent);
    await docker.ok('network', 'rm', 'there');
    assert.deepEqual(lines(await docker.ok('network', 'ls', '--format', '{{.Name}}')), ['bridge', 'host', 'none']);
  });

  await t.test('links inside are named as the user says', async () => {
    await docker.ok('network', 'create', '-o', 'com.docker.network.container_iface_prefix=lan', 'named');
    assert.match(await sh(['--network', 'named'], 'ip -4 addr show lan0'), /inet 172\./);
    await docker.ok('network', 'rm', 'named');
  });

  await t.test('containers find each other by name, on their own networks only', async () => {
    await docker.ok('network', 'create', 'front');
    await docker.ok('network', 'create', '--subnet', '10.213.0.0/24', 'back');
    await sleeper('web', '--network', 'front', '--network-alias', 'www');
    await sleeper('db', '--network', 'back', '--ip', '10.213.0.77', '--hostname', 'database');
    const web = await placeOf('web', 'front');
    assert.deepEqual(web.DNSNames.slice(0, 2), ['web', 'www']);
    assert.equal((await placeOf('db', 'back')).IPAddress, '10.213.0.77');
    assert.match(await inside('web', 'cat /etc/resolv.conf'), /^nameserver 127\.0\.0\.11$/m);
    const probe = ['--network', 'front'];
    assert.match(await sh(probe, 'ping -c 1 -w 5 www'), new RegExp(web.IPAddress.replaceAll('.', '\\.')));
    assert.match(await sh(['--network', 'back'], 'nslookup database'), /10\.213\.0\.77/);
    assert.match(await sh(probe, `nslookup ${web.IPAddress}`), /name = web\.front$/m);
    assert.deepEqual(await addressOf('web', 'db'), []);
    assert.equal((await run(probe, ['ping', '-c', '1', '-W', '1', '10.213.0.77'])).status, 1, 'networks are apart');
    const taken = await run(['--network', 'back', '--ip', '10.213.0.77'], ['true']);
    assert.equal(daemonWords(docker, taken), 'failed to set up container networking: Address already in use');
    assert.match(
      await refusal('network', 'rm', 'back'),
      /^error while removing network: network back has active endpoints \(name:"db" id:"[0-9a-f]{12}"\)$/,
    );
  });

  await t.test('connect and disconnect while it runs: names, routes, hosts', async () => {
    await docker.ok('network', 'connect', '--alias', 'site', 'back', 'web');
    assert.deepEqual(await addressOf('web', 'db'), ['10.213.0.77']);
    const { IPAddress } = await placeOf('web', 'back');
    assert.deepEqual(await addressOf('db', 'site'), [IPAddress]);
    assert.match(await inside('web', 'cat /etc/hosts'), new RegExp(`^${IPAddress}\t`, 'm'));
    assert.match(await inside('web', 'ip route'), /^default via 10\.213\.0\.1 dev eth1/m);
    assert.equal(
      await refusal('network', 'connect', 'back', 'web'),
      'endpoint with name web already exists in network back',
    );
    await docker.ok('network', 'disconnect', 'back', 'web');
    assert.doesNotMatch(await inside('web', 'cat /etc/hosts; ip addr'), /10\.213\.0/);
    assert.match(await inside('web', 'ip route'), /^default via \S+ dev eth0/m);
    assert.deepEqual(await addressOf('db', 'site'), []);
    await docker.ok('network', 'connect', 'back', 'web');
    assert.match(await inside('web', 'ip -4 addr show eth1'), /10\.213\.0/);
    assert.match(
      await refusal('network', 'disconnect', 'bridge', 'web'),
      /^container [0-9a-f]{64} is not connected to network bridge$/,
    );
  });

  await t.test('a shared alias leads to all of them, a link is one container’s own', async () => {
    await sleeper('one', '--network', 'front', '--network-alias', 'many');
    await sleeper('two', '--network', 'front', '--network-alias', 'many', '--link', 'one:partner');
    assert.equal((await addressOf('web', 'many')).length, 2);
    assert.deepEqual(await addressOf('two', 'partner'), await addressOf('web', 'one'));
    assert.deepEqual(await addressOf('web', 'partner'), []);
    await docker.ok('stop', '-t', '0', 'one');
    assert.equal((await addressOf('web', 'many')).length, 1);
    await docker.ok('start', 'one');
    assert.equal((await addressOf('web', 'many')).length, 2);
    await docker.ok('rm', '-f', 'one', 'two');
  });

  await t.test('other names are asked of the servers outside', async () => {
    const server = createSocket('udp4');
    server.on('message', (bytes, from) => {
      const reply = Buffer.concat([bytes, Buffer.from('c00c00010001000000050004c0000263', 'hex')]);
      reply.writeUInt16BE(0x8180, 2);
      reply.writeUInt16BE(1, 6);
      reply.writeUInt16BE(0, 10);
      server.send(reply, from.port, from.address);
    });
    server.bind(53, '127.0.0.199');
    await once(server, 'listening');
    try {
      const out = await sh(['--network', 'front', '--dns', '127.0.0.199'], 'nslookup -type=a outside.example');
      assert.match(out, /192\.0\.2\.99/);
    } finally {
      server.close();
    }
  });

  await t.test('internal networks lead nowhere; ports are published on the others', async () => {
    await docker.ok('network', 'create', '--internal', 'inner');
    await sleeper('closed', '--network', 'inner');
    assert.doesNotMatch(await inside('closed', 'ip route'), /default/);
    assert.equal((await placeOf('closed', 'inner')).Gateway, '');
    await docker.ok(
      'run',
      '-d',
      '--name',
      'served',
      '--network',
      'front',
      '-p',
      '127.0.0.1::80',
      'base',
      'sh',
      '-c',
      'echo hi > /index.html; exec httpd -f -p 80 -h /',
    );
    await docker.ok('network', 'connect', 'inner', 'served');
    const address = (await docker.ok('port', 'served', '80')).trim();
    await until(
      async () =>
        execFileSync('curl', ['-s', '--max-time', '2', '--retry', '3', `http://${address}/`], { encoding: 'utf8' }),
      (body) => body === 'hi\n',
    );
    assert.match(await inside('closed', 'wget -q -O - http://served/'), /^hi$/);
    const body = () =>
      execFileSync('curl', ['-s', '--max-time', '2', '--retry', '3', `http://${address}/`], { encoding: 'utf8' });
    await docker.ok('network', 'connect', 'back', 'served');
    await docker.ok('network', 'disconnect', 'front', 'served');
    assert.equal((await docker.ok('port', 'served', '80')).trim(), address, 'the port moves along');
    assert.equal(body(), 'hi\n');
    await docker.ok('network', 'disconnect', 'back', 'served');
    assert.throws(body, 'nothing leads to the inner network');
    assert.equal((await docker.run(['port', 'served', '80'])).stdout, '');
    await docker.ok('network', 'connect', 'front', 'served');
    assert.match(await docker.ok('port', 'served', '80'), /^127\.0\.0\.1:\d+\n$/);
    await docker.ok('rm', '-f', 'closed', 'served');
    await docker.ok('network', 'rm', 'inner');
  });

  await t.test('container: mode shares everything of the network', async () => {
    const joined = ['--network', 'container:web'];
    assert.equal(await sh(joined, 'hostname; cat /etc/hosts'), await inside('web', 'hostname; cat /etc/hosts'));
    assert.equal(await sh(joined, 'ip -4 addr show eth0'), await inside('web', 'ip -4 addr show eth0'));
    const refused = async (...flags: string[]) => daemonWords(docker, await run([...flags], ['true']));
    assert.equal(
      await refused(...joined, '-p', '80:80'),
      'conflicting options: port publishing and the container type network mode',
    );
    assert.equal(
      await refused('--network', 'container:nosuch'),
      'joining network namespace of container: No such container: nosuch',
    );
    assert.equal(
      await refused('--network', 'nosuch'),
      'failed to set up container networking: network nosuch not found',
    );
  });

  await t.test('a daemon that is killed leaves names that work again with the next one', async () => {
    await daemon.kill();
    await daemon.start();
    assert.deepEqual(await addressOf('web', 'db'), ['10.213.0.77']);
    assert.match(await inside('db', 'ping -c 1 -w 5 web'), / 0% packet loss/);
    assert.deepEqual(lines(await docker.ok('network', 'ls', '--filter', 'type=custom', '--format', '{{.Name}}')), [
      'back',
      'front',
    ]);
  });

  await t.test('what is removed is gone from the machine', async () => {
    const bridges = () => execFileSync('ip', ['-o', 'link', 'show', 'type', 'bridge'], { encoding: 'utf8' });
    const own = (await Promise.all(['front', 'back'].map(inspect))).map(({ Id }) => `br-${Id.slice(0, 12)}`);
    for (const name of own) assert.ok(bridges().includes(name));
    await docker.ok('rm', '-f', 'web', 'db');
    await docker.ok('network', 'rm', 'front', 'back');
    for (const name of own) assert.ok(!bridges().includes(name));
  });
});
