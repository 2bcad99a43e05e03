import assert from 'node:assert/strict';
import { test } from 'node:test';
import { containerSetup, daemonWords, lines } from './containers-fixture.ts';

test('configuration networks', async (t) => {
  await using setup = await containerSetup(t);
  if (!setup) return;
  const { docker, daemon, run } = setup;
  const inspect = async (name: string) => JSON.parse(await docker.ok('network', 'inspect', name))[0];
  const refusal = async (...args: string[]) => {
    const { status, stderr } = await docker.run(['network', ...args]);
    assert.equal(status, 1, args.join(' '));
    return stderr
      .replace('Error response from daemon: ', '')
      .replace(/\nexit status 1\n$/, '')
      .trim();
  };
  const words = (...flags: string[]) => refusal('create', ...flags, 'refused');
  const addresses = ['--subnet', '10.215.0.0/24', '--ip-range', '10.215.0.128/25', '--gateway', '10.215.0.9'];
  const settings = ['-o', 'com.docker.network.driver.mtu=1400', '--label', 'a=b'];
  await docker.ok('network', 'create', '--config-only', ...addresses, ...settings, 'plan');

  await t.test('hold what networks are made of, and are none themselves', async () => {
    const plan = await inspect('plan');
    assert.equal(plan.ConfigOnly, true);
    assert.equal(plan.Driver, 'null');
    assert.deepEqual(Object.keys(plan.IPAM.Config[0]), ['Subnet', 'IPRange', 'Gateway']);
    assert.deepEqual(lines(await docker.ok('network', 'ls', '-f', 'name=plan', '--format', '{{.Name}} {{.Driver}}')), [
      'plan null',
    ]);
    const refused = 'cannot create endpoint on configuration-only network';
    assert.equal(
      daemonWords(docker, await run(['--network', 'plan'], ['true'])),
      `failed to set up container networking: ${refused}`,
    );
    await docker.ok('run', '-d', '--name', 'up', 'base', 'sleep', '1000');
    assert.equal(await refusal('connect', 'plan', 'up'), refused);
    await docker.ok('rm', '-f', 'up');
  });

  await t.test('a network made from one has its addresses, options and labels, and keeps it', async () => {
    await docker.ok('network', 'create', '--config-from', 'plan', '--internal', 'made');
    const [plan, made] = [await inspect('plan'), await inspect('made')];
    assert.deepEqual(made.ConfigFrom, { Network: 'plan' });
    assert.equal(made.Driver, 'bridge');
    assert.equal(made.Internal, true);
    for (const key of ['IPAM', 'Options', 'Labels', 'EnableIPv4', 'EnableIPv6']) {
      assert.deepEqual(made[key], plan[key], key);
    }
    const script = 'ip -4 addr show eth0 | grep -o "inet [0-9.]*/[0-9]*"; cat /sys/class/net/eth0/mtu';
    const ran = await run(['--network', 'made'], ['sh', '-c', script]);
    assert.deepEqual(lines(ran.stdout), ['inet 10.215.0.128/24', '1400'], ran.stderr);
    assert.equal(await refusal('rm', 'plan'), 'error while removing network: configuration network "plan" is in use');
    await daemon.kill();
    await daemon.start();
    assert.deepEqual(await inspect('plan'), plan);
    assert.deepEqual(await inspect('made'), made);
    assert.equal((await run(['--network', 'made'], ['true'])).status, 0);
    assert.equal(await docker.ok('network', 'prune', '-f'), 'Deleted Networks:\nmade\n\n');
    await docker.ok('network', 'rm', 'plan');
  });

  await t.test('what one can’t say, and what can’t be said beside one, is refused in Docker’s words', async () => {
    await docker.ok('network', 'create', '--config-only', '--ipv6', 'empty');
    const operators =
      'configuration network can only contain network specific fields. Network operator fields like [ ingress | internal | attachable | scope ] are not supported.';
    assert.equal(await words('--config-only', '--internal'), operators);
    assert.equal(await words('--config-only', '--attachable'), operators);
    assert.equal(await words('--config-only', '--scope', 'swarm'), operators);
    assert.equal(
      await words('--config-only', '--config-from', 'empty'),
      'a configuration network cannot depend on another configuration network',
    );
    assert.equal(
      await words('--config-only', '--subnet', '10.0.0.0/33'),
      'invalid network config:\ninvalid subnet 10.0.0.0/33: invalid CIDR block notation',
    );
    assert.equal(await words('--config-from', 'bridge'), 'configuration network "bridge" does not exist');
    const configured =
      'user specified configurations are not supported if the network depends on a configuration network';
    assert.equal(await words('--config-from', 'empty', '--subnet', '10.216.0.0/24'), configured);
    assert.equal(await words('--config-from', 'empty', '--label', 'a=b'), configured);
    assert.equal(
      await words('--config-from', 'empty', '-o', 'a=b'),
      'network driver options are not supported if the network depends on a configuration network',
    );
    assert.equal(await refusal('create', '--config-only', 'empty'), 'network with name empty already exists');
    await docker.ok('network', 'rm', 'empty');
  });
});
