import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { HostConfig } from '#api-types';
import { temporaryFolder } from '#testing';
import { blockLimits, readResourceSupport, settleResources } from './resources.ts';

const everything = {
  blkioWeight: true,
  blkioWeightDevice: true,
  blkioThrottle: true,
  swappiness: true,
  oomKillDisable: true,
  cpuRealtime: true,
};
const nothing = Object.fromEntries(Object.keys(everything).map((key) => [key, false])) as typeof everything;

test('what the kernel cannot limit is taken out, with a warning each', () => {
  const rate = [{ Path: '/dev/x', Rate: 1 }];
  const asked: HostConfig = {
    BlkioWeight: 100,
    BlkioWeightDevice: [{ Path: '/dev/x', Weight: 100 }],
    BlkioDeviceReadBps: rate,
    BlkioDeviceWriteBps: rate,
    BlkioDeviceReadIOps: rate,
    BlkioDeviceWriteIOps: rate,
    MemorySwappiness: 60,
    OomKillDisable: true,
  };
  const { hostConfig, warnings } = settleResources(asked, nothing);
  assert.deepEqual(warnings, [
    'Your kernel does not support memory swappiness capabilities or the cgroup is not mounted. Memory swappiness discarded.',
    'Your kernel does not support OomKillDisable. OomKillDisable discarded.',
    'Your kernel does not support Block I/O weight or the cgroup is not mounted. Weight discarded.',
    'Your kernel does not support Block I/O weight_device or the cgroup is not mounted. Weight-device discarded.',
    'Your kernel does not support BPS Block I/O read limit or the cgroup is not mounted. Block I/O BPS read limit discarded.',
    'Your kernel does not support BPS Block I/O write limit or the cgroup is not mounted. Block I/O BPS write limit discarded.',
    'Your kernel does not support IOPS Block read limit or the cgroup is not mounted. Block I/O IOPS read limit discarded.',
    'Your kernel does not support IOPS Block write limit or the cgroup is not mounted. Block I/O IOPS write limit discarded.',
  ]);
  assert.equal(blockLimits(hostConfig), undefined);
  assert.equal(hostConfig.MemorySwappiness, null);
  assert.equal(hostConfig.OomKillDisable, false);
  assert.deepEqual(settleResources({ ...asked, Memory: 1 << 24 }, everything).warnings, []);
  assert.match(settleResources(asked, everything).warnings.join(), /^OOM killer is disabled for the container, but/);
});

test('what is no limit is refused', () => {
  for (const [host, message] of [
    [{ MemorySwappiness: 101 }, 'Invalid value: 101, valid memory swappiness range is 0-100'],
    [{ BlkioWeight: 9 }, 'Range of blkio weight is from 10 to 1000'],
    [{ BlkioWeightDevice: [{ Path: '/x', Weight: 1001 }] }, 'Range of blkio weight is from 10 to 1000'],
    [
      { CpuRealtimePeriod: 1, CpuRealtimeRuntime: 2 },
      'cpu real-time runtime cannot be higher than cpu real-time period',
    ],
    [{ IOMaximumIOps: 1 }, 'invalid option: QoS maximum IOPs configuration is not supported on linux'],
    [{ IOMaximumBandwidth: 1 }, 'invalid option: QoS maximum bandwidth configuration is not supported on linux'],
  ] as const) {
    assert.throws(() => settleResources(host, everything), { message });
  }
  assert.throws(() => settleResources({ CpuRealtimeRuntime: 1 }, nothing), {
    message: 'kernel does not support CPU real-time scheduler',
  });
});

test('what a kernel supports is read from its control groups', async () => {
  await using folder = await temporaryFolder();
  for (const file of ['blkio/blkio.throttle.read_bps_device', 'memory/memory.swappiness']) {
    await mkdir(join(folder.path, file, '..'), { recursive: true });
    await writeFile(join(folder.path, file), '');
  }
  assert.deepEqual(readResourceSupport(1, folder.path), { ...nothing, blkioThrottle: true, swappiness: true });
  await writeFile(join(folder.path, 'cgroup.controllers'), 'cpuset cpu io memory\n');
  const v2 = { ...nothing, blkioWeight: true, blkioWeightDevice: true, blkioThrottle: true };
  assert.deepEqual(readResourceSupport(2, folder.path), v2);
});
