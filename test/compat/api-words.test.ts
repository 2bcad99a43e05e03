/** What dockerd 28 answers to requests that it can do nothing with. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Ask, apiOf } from './api-fixture.ts';
import { containerSetup } from './containers-fixture.ts';

test('malformed requests are refused with dockerd’s status and words', async (t) => {
  await using setup = await containerSetup(t);
  if (!setup) return;
  const { daemon, docker } = setup;
  const ask = apiOf(daemon.host);
  const said = async (...request: Parameters<Ask>) => {
    const { status, text } = await ask(...request);
    return status < 400 ? status : `${status} ${(JSON.parse(text) as { message: string }).message}`;
  };

  await t.test('credentials and swarms', async () => {
    assert.equal(await said('POST', '/auth'), '500 EOF');
    const wrong = 'json: cannot unmarshal number into Go struct field AuthConfig.username of type string';
    assert.equal(await said('POST', '/auth', { username: 1 }), `500 ${wrong}`);
    const noAddress = '400 invalid ListenAddr "": invalid empty address';
    for (const path of ['/swarm/init', '/swarm/join']) {
      assert.equal(await said('POST', path), noAddress);
      assert.equal(await said('POST', path, {}), noAddress);
      assert.equal(await said('POST', path, { ListenAddr: '0.0.0.0' }), '501 swarm mode is not supported yet');
    }
    assert.match(String(await said('POST', '/volumes/create', { ClusterVolumeSpec: {} })), /^503 This node is not a/);
    assert.equal(
      await said('POST', '/volumes/create', { Name: 'vol', DriverOpts: { size: 'x' } }),
      "400 create vol: invalid size: 'x'",
    );
  });

  await t.test('options of networks', async () => {
    const network = (name: string, Driver: string, Options: object) =>
      said('POST', '/networks/create', { Name: name, Driver, Options });
    const bridge = (option: string, value: string, name = 'net') =>
      network(name, 'bridge', { [`com.docker.network.${option}`]: value });
    assert.equal(await bridge('bridge.name', 'a-name-too-long-for'), '500 numerical result out of range');
    for (const name of ['a/b', 'a b', 'a:b', '.']) {
      assert.equal(await bridge('bridge.name', name), '500 invalid argument', name);
    }
    assert.equal(await bridge('bridge.name', 'wherrywords0', 'first'), 201);
    assert.match(
      String(await bridge('bridge.name', 'wherrywords0', 'second')),
      /^403 cannot create network \w{64} \(wherrywords0\): conflicts with network \w{64} \(wherrywords0\): networks have same bridge name$/,
    );
    assert.equal(await bridge('driver.mtu', '-1'), '400 invalid MTU number: -1');
    assert.equal(await bridge('driver.mtu', '70000'), '500 invalid argument');
    const binding = 'com.docker.network.bridge.host_binding_ipv4';
    assert.equal(await bridge('bridge.host_binding_ipv4', 'x'), `400 failed to parse ${binding} value: x (nil ip)`);
    const parents = {
      nosuch0: 'invalid subinterface vlan name nosuch0, example formatting is eth0.10',
      'a.b.c': 'required interface name format is: name.vlan_id, ex. eth0.10 for vlan 10, instead received a.b.c',
      'nosuch0.x': 'unable to parse a valid vlan id from: x (ex. eth0.10 for vlan 10)',
      'nosuch0.5000': '-o parent interface was not found on the host: nosuch0',
      'lo.5000': 'vlan id must be between 1-4094, received: 5000',
    };
    for (const [parent, words] of Object.entries(parents)) {
      assert.equal(await network('net', 'ipvlan', { parent }), `500 ${words}`);
    }
    await docker.ok('network', 'rm', 'first');
  });

  await t.test('terminals and execs', async () => {
    await docker.ok('run', '-dt', '--name', 'up', 'base', 'sleep', '1000');
    const resize = (query: string) => said('POST', `/containers/up/resize?${query}`);
    assert.equal(await resize('h=-1&w=5'), '400 invalid resize height "-1": value out of range');
    assert.equal(await resize('h=4294967296&w=5'), '400 invalid resize height "4294967296": value out of range');
    assert.equal(await resize('h=70000&w=65540'), 200);
    // conmon has it from a fifo.
    await docker.ok(
      'exec',
      'up',
      'sh',
      '-c',
      'until [ "$(stty size < /dev/console)" = "4464 4" ]; do sleep 0.05; done',
    );
    const made = await ask('POST', '/containers/up/exec', { Cmd: ['true'], Env: ['=x'] });
    assert.equal(
      await said('POST', `/exec/${made.body.Id}/start`, { Detach: true }),
      '500 OCI runtime exec failed: exec failed: unable to start container process: invalid environment variable: name cannot be empty',
    );
  });
});
