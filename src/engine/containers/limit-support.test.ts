import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryFolder } from '#testing';
import { readLimitSupport, supportWarnings, withoutUnsupported } from './limit-support.ts';

const noBlock = { blkioWeight: false, blkioWeightDevice: false, blkioThrottle: false };

test('cgroup v2 limits what its controllers can; the rest is discarded with dockerd’s words', async () => {
  await using folder = await temporaryFolder();
  writeFileSync(join(folder.path, 'cgroup.controllers'), 'cpuset memory\n');
  const support = readLimitSupport(2, folder.path);
  const given = { Memory: 1 << 25, MemorySwap: 1 << 26, PidsLimit: 5, CpuShares: 7, CpuQuota: 9, CpusetCpus: '0' };
  const { limits, warnings } = withoutUnsupported(given, support);
  assert.deepEqual(limits, { ...given, PidsLimit: null, CpuShares: 0, CpuPeriod: 0, CpuQuota: 0 });
  assert.deepEqual(warnings, [
    'Your kernel does not support PIDs limit capabilities or the cgroup is not mounted. PIDs limit discarded.',
    'Your kernel does not support CPU shares or the cgroup is not mounted. Shares discarded.',
    'Your kernel does not support CPU CFS scheduler. CPU period/quota discarded.',
  ]);
  assert.throws(() => withoutUnsupported({ NanoCpus: 1e9 }, support), {
    message: 'NanoCPUs can not be set, as your kernel does not support CPU CFS scheduler or the cgroup is not mounted',
  });
  assert.deepEqual(supportWarnings(support, { ...noBlock, blkioThrottle: true }, 2), [
    'WARNING: No cpu cfs quota support',
    'WARNING: No cpu cfs period support',
    'WARNING: No cpu shares support',
    'WARNING: No io.weight support',
    'WARNING: No io.weight (per device) support',
  ]);
});

test('cgroup v1 without accounting of swap limits memory alone, and without a controller nothing', async () => {
  await using folder = await temporaryFolder();
  assert.deepEqual(withoutUnsupported({ Memory: 1 << 25, CpusetMems: '0' }, readLimitSupport(1, folder.path)), {
    limits: { Memory: 0, MemorySwap: -1, CpusetCpus: '', CpusetMems: '' },
    warnings: [
      'Your kernel does not support memory limit capabilities or the cgroup is not mounted. Limitation discarded.',
      'Your kernel does not support cpuset or the cgroup is not mounted. Cpuset discarded.',
    ],
  });
  mkdirSync(join(folder.path, 'memory'));
  writeFileSync(join(folder.path, 'memory/memory.limit_in_bytes'), '');
  const support = readLimitSupport(1, folder.path);
  assert.deepEqual(withoutUnsupported({ Memory: 1 << 25, MemorySwap: 1 << 26 }, support), {
    limits: { Memory: 1 << 25, MemorySwap: -1 },
    warnings: [
      'Your kernel does not support swap limit capabilities or the cgroup is not mounted. Memory limited without swap.',
    ],
  });
  assert.deepEqual(withoutUnsupported({ Memory: 1 << 25, MemorySwap: -1 }, support).warnings, []);
});
