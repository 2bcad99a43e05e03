import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readCgroupStats } from './cgroup-stats.ts';

const from = (files: Readonly<Record<string, string>>) => (_controller: string, file: string) => files[file];

test('version 1: ticks, both kinds of throttling, block I/O wherever it is counted', () => {
  const stats = readCgroupStats(
    1,
    from({
      'cpuacct.usage': '36414698\n',
      'cpuacct.usage_percpu': '4472538 31942160 \n',
      'cpuacct.stat': 'user 2\nsystem 1\n',
      'cpu.stat': 'nr_periods 10\nnr_throttled 3\nthrottled_time 5000\n',
      'memory.usage_in_bytes': '6164480\n',
      'memory.max_usage_in_bytes': '7852032\n',
      'memory.limit_in_bytes': '67108864\n',
      'memory.stat': 'cache 5632000\nrss 57344\n',
      'pids.current': '1\n',
      'pids.max': 'max\n',
      'blkio.bfq.io_service_bytes_recursive': 'Total 0\n',
      'blkio.throttle.io_service_bytes_recursive': '254:0 Read 389120\n254:0 Write 0\nTotal 389120\n',
    }),
  );
  assert.deepEqual(stats.cpu, {
    totalNs: 36414698,
    perCpuNs: [4472538, 31942160],
    userNs: 20_000_000,
    kernelNs: 10_000_000,
    periods: 10,
    throttledPeriods: 3,
    throttledNs: 5000,
  });
  assert.deepEqual(stats.memory.detail, { cache: 5632000, rss: 57344 });
  assert.deepEqual(stats.pids, { current: 1, limit: 0 });
  assert.deepEqual(stats.blockIO.serviceBytes, [
    { major: 254, minor: 0, op: 'Read', value: 389120 },
    { major: 254, minor: 0, op: 'Write', value: 0 },
  ]);
  assert.deepEqual(stats.blockIO.serviced, []);
});

test('version 2: microseconds, and no limit is the largest number', () => {
  const stats = readCgroupStats(
    2,
    from({
      'cpu.stat': 'usage_usec 3000\nuser_usec 2000\nsystem_usec 1000\nnr_periods 4\nnr_throttled 1\nthrottled_usec 7\n',
      'memory.current': '4096\n',
      'memory.max': 'max\n',
      'memory.stat': 'anon 1\nfile 2\n',
      'pids.current': '2\n',
      'pids.max': '20\n',
      'io.stat': '8:0 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=0 dios=0\n',
    }),
  );
  assert.deepEqual(
    [stats.cpu.totalNs, stats.cpu.userNs, stats.cpu.kernelNs, stats.cpu.throttledNs, stats.cpu.perCpuNs],
    [3e6, 2e6, 1e6, 7000, undefined],
  );
  assert.ok(stats.memory.limitBytes > 2 ** 63 && BigInt(stats.memory.limitBytes) < 2n ** 64n);
  assert.deepEqual(stats.blockIO.serviceBytes, [
    { major: 8, minor: 0, op: 'read', value: 10 },
    { major: 8, minor: 0, op: 'write', value: 20 },
  ]);
});
