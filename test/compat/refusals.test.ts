/** What makes no sense is refused, by Docker's words and status. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { containerSetup, daemonWords } from './containers-fixture.ts';

test('what makes no sense is refused as dockerd refuses it', async (t) => {
  await using setup = await containerSetup(t);
  if (!setup) return;
  const { docker, run } = setup;
  const refused = async (...flags: string[]) => daemonWords(docker, await run(flags, ['true']));
  const refusal = async (...args: string[]) => {
    const { status, stderr } = await docker.run(args);
    assert.equal(status, 1, args.join(' '));
    return stderr.trimEnd().replace('Error response from daemon: ', '');
  };

  await t.test('networks beside that of the host, or beside none', async () => {
    if (docker.olderThan(28)) return;
    const setUp = 'failed to set up container networking: ';
    assert.equal(
      await refused('--network', 'host', '--network', 'bridge'),
      `${setUp}container sharing network namespace with another container or host cannot be connected to any other network`,
    );
    assert.equal(
      await refused('--network', 'bridge', '--network', 'host'),
      `${setUp}cannot connect container to host network - container must be created in host network mode`,
    );
    const alone = `${setUp}container cannot be connected to multiple networks with one of the networks in private (none) mode`;
    assert.equal(await refused('--network', 'bridge', '--network', 'none'), alone);
    assert.equal(await refused('--network', 'none', '--network', 'bridge'), alone);
  });

  await t.test('addresses on the default bridge', async () => {
    const said = (await run(['--ip', '1.2.3.4'], ['true'])).stderr;
    for (const fault of [
      'user specified IP address is supported on user defined networks only',
      'no configured subnet or ip-range contain the IP address 1.2.3.4',
    ]) {
      assert.ok(said.includes(fault), said);
    }
  });

  await t.test('volumes', async () => {
    assert.match(
      await refused('--mount', 'type=volume,dst=/x,volume-subpath=../y'),
      /must not set Subpath when using anonymous volumes/,
    );
    const absolute = "invalid mount path: 'rel' mount path must be absolute";
    const config = (type: string) => `invalid mount config for type "${type}": `;
    assert.equal(
      await refused('-v', 'named:rel'),
      `invalid volume specification: 'named:rel': ${config('volume')}${absolute}`,
    );
    assert.equal(
      await refused('-v', '/src:rel'),
      `invalid volume specification: '/src:rel': ${config('bind')}${absolute}`,
    );
    assert.equal(
      await refused('--mount', 'type=volume,dst=/x,ro'),
      `${config('volume')}must not set ReadOnly mode when using anonymous volumes`,
    );
    await docker.ok('volume', 'create', 'here');
    assert.equal(
      await refusal('volume', 'create', '-d', 'nosuch', 'here'),
      'create here: error looking up volume plugin nosuch: plugin "nosuch" not found',
    );
    await docker.ok('volume', 'rm', 'here');
  });

  await t.test('filters', async () => {
    const port = (value: string) => refusal('ps', '--filter', `expose=${value}`);
    const where = (value: string) => `error while looking up for expose ${value}: `;
    const [large, back] = ['99999/tcp', '90-80/tcp'];
    assert.equal(await port(large), `${where(large)}strconv.ParseUint: parsing "99999": value out of range`);
    assert.equal(await port(back), `${where(back)}Invalid range specified for the Port: 90-80`);
    // dockerd passes over filters of events it does not know.
    assert.equal(
      await refusal('events', '--since', '1', '--until', '2', '--filter', 'bogus=1'),
      "invalid filter 'bogus'",
    );
  });

  await t.test('filters of networks', async () => {
    const boolean = 'must be "true" (or "1"), or "false" (or "0")';
    assert.equal(await refusal('network', 'ls', '--filter', 'type=x'), "invalid filter: 'type'='x'");
    assert.equal(
      await refusal('network', 'ls', '--filter', 'dangling=x'),
      `invalid value for filter 'dangling', ${boolean}`,
    );
    assert.equal(
      await refusal('network', 'ls', '--filter', 'dangling=true', '--filter', 'dangling=false'),
      'got more than one value for filter key "dangling"',
    );
  });

  await t.test('the container before the network', async () => {
    assert.equal(await refusal('network', 'connect', 'nosuch', 'neither'), 'No such container: neither');
  });
});
