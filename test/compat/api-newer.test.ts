/** What versions 1.52 to 1.55 of the API brought, where the engine has a part in it. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { apiOf } from './api-fixture.ts';
import { containerSetup } from './containers-fixture.ts';

const disk = readdirSync('/sys/block').find((name) => !/^(?:loop|ram|zram|dm-)/.test(name));
const v1 = readdirSync('/sys/fs/cgroup').includes('blkio');

test('newer versions of the API', async (t) => {
  await using setup = await containerSetup(t);
  if (!setup) return;
  const { docker, daemon } = setup;
  const ask = apiOf(daemon.host);

  await t.test('addresses of a network are counted', async () => {
    const subnets = ['--subnet', '10.231.0.0/24', '--ip-range', '10.231.0.128/25', '--ipv6', '--subnet', 'fd31::/64'];
    await docker.ok('network', 'create', ...subnets, 'counted');
    const count = async () => (await ask('GET', '/v1.52/networks/counted')).body.Status.IPAM.Subnets;
    // The network's own address, the gateway, and of IPv4 the broadcast address; a JSON parser rounds what is beyond 53 bits.
    assert.deepEqual(await count(), {
      '10.231.0.0/24': { IPsInUse: 3, DynamicIPsAvailable: 126 },
      'fd31::/64': { IPsInUse: 2, DynamicIPsAvailable: 2 ** 64 },
    });
    const { text } = await ask('GET', '/v1.52/networks/counted');
    assert.match(text, /"DynamicIPsAvailable":18446744073709551614\}/);
    await docker.ok('run', '-d', '--name', 'one', '--network', 'counted', 'base', 'sleep', '100');
    assert.equal((await count())['10.231.0.0/24'].IPsInUse, 4);
    assert.equal((await count())['10.231.0.0/24'].DynamicIPsAvailable, 125);
    await docker.ok('rm', '-f', 'one');
    assert.equal((await ask('GET', '/networks/counted')).body.Status, undefined);
    assert.deepEqual((await ask('GET', '/v1.52/networks/host')).body.Status, { IPAM: {} });
    await docker.ok('network', 'rm', 'counted');
  });

  await t.test('lists tell of health', async () => {
    const check = ['--health-cmd', 'true', '--health-interval', '200ms'];
    await docker.ok('run', '-d', '--name', 'checked', ...check, 'base', 'sleep', '100');
    const [row] = (await ask('GET', '/v1.52/containers/json')).body;
    assert.ok(['starting', 'healthy'].includes(row.Health.Status), row.Health.Status);
    assert.equal((await ask('GET', '/containers/json')).body[0].Health, undefined);
    await docker.ok('rm', '-f', 'checked');
  });

  await t.test('rates of a device change while a container runs', { skip: !disk && 'no disk' }, async () => {
    const device = `/dev/${disk}`;
    const limit = ['--device-read-bps', `${device}:1mb`, '--device-write-iops', `${device}:77`];
    await docker.ok('run', '-d', '--name', 'limited', '--cgroupns', 'host', ...limit, 'base', 'sleep', '100');
    const seen = () =>
      docker.ok(
        ...['exec', 'limited', 'sh', '-c'],
        v1
          ? 'cd /sys/fs/cgroup/blkio; cut -d" " -f2 blkio.throttle.read_bps_device blkio.throttle.write_iops_device'
          : 'cut -d" " -f2- /sys/fs/cgroup/$(cut -d: -f3 /proc/self/cgroup)/io.max',
      );
    const shown = (bps: string, iops: string) =>
      v1
        ? [bps, iops].flatMap((rate) => (rate === 'max' ? [] : [`${rate}\n`])).join('')
        : `rbps=${bps} wbps=max riops=max wiops=${iops}\n`;
    assert.equal(await seen(), shown('1048576', '77'));
    const update = (body: object) => ask('POST', '/v1.55/containers/limited/update', body);
    assert.equal((await update({ BlkioDeviceReadBps: [{ Path: device, Rate: 2048 }] })).status, 200);
    assert.equal(await seen(), shown('2048', '77'));
    assert.equal((await update({ BlkioDeviceReadBps: null, BlkioDeviceWriteIOps: [] })).status, 200);
    assert.equal(await seen(), shown('2048', 'max'));
    const { HostConfig } = (await ask('GET', '/containers/limited/json')).body;
    assert.deepEqual(HostConfig.BlkioDeviceReadBps, [{ Path: device, Rate: 2048 }]);
    assert.deepEqual(HostConfig.BlkioDeviceWriteIOps, []);
    await docker.ok('rm', '-f', 'limited');
  });
});
