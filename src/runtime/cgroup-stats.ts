import type { CgroupStats } from './types.ts';

/** Reads one file of a container's cgroup in a v1 hierarchy (on v2: in the one); undefined where the kernel has none. */
export type ReadCgroupFile = (controller: string, file: string) => string | undefined;

const nanosPerTick = 10_000_000;
const nanosPerMicro = 1000;
/** Under 2^64, which clients read these into; a double next to it would not fit. */
const unlimited = 2 ** 64 - 2048;

const number = (text: string | undefined) => Number(text?.trim() || 0);
const limit = (text: string | undefined) => (text === undefined ? 0 : text.trim() === 'max' ? unlimited : number(text));

/** `name value` lines. */
export function keyedNumbers(text: string | undefined): Record<string, number> {
  const pairs = (text ?? '').split('\n').map((line) => line.split(' '));
  return Object.fromEntries(pairs.flatMap(([key, value]) => (key && value ? [[key, Number(value)]] : [])));
}

export function readCgroupStats(version: 1 | 2, read: ReadCgroupFile): CgroupStats {
  return version === 1 ? readV1(read) : readV2(read);
}

function readV1(read: ReadCgroupFile): CgroupStats {
  const ticks = keyedNumbers(read('cpuacct', 'cpuacct.stat'));
  const throttled = keyedNumbers(read('cpu', 'cpu.stat'));
  const perCpu = read('cpuacct', 'cpuacct.usage_percpu')?.trim();
  return {
    cpu: {
      totalNs: number(read('cpuacct', 'cpuacct.usage')),
      ...(perCpu ? { perCpuNs: perCpu.split(/\s+/).map(Number) } : {}),
      userNs: (ticks['user'] ?? 0) * nanosPerTick,
      kernelNs: (ticks['system'] ?? 0) * nanosPerTick,
      periods: throttled['nr_periods'] ?? 0,
      throttledPeriods: throttled['nr_throttled'] ?? 0,
      throttledNs: throttled['throttled_time'] ?? 0,
    },
    memory: {
      usageBytes: number(read('memory', 'memory.usage_in_bytes')),
      maxUsageBytes: number(read('memory', 'memory.max_usage_in_bytes')),
      failures: number(read('memory', 'memory.failcnt')),
      limitBytes: number(read('memory', 'memory.limit_in_bytes')),
      detail: keyedNumbers(read('memory', 'memory.stat')),
    },
    pids: { current: number(read('pids', 'pids.current')), limit: v1PidsLimit(read('pids', 'pids.max')) },
    blockIO: {
      serviceBytes: v1BlockIO(read, 'io_service_bytes_recursive'),
      serviced: v1BlockIO(read, 'io_serviced_recursive'),
    },
  };
}

/** dockerd says 0 for no limit here, and the largest number with v2. */
const v1PidsLimit = (text: string | undefined) => (text?.trim() === 'max' ? 0 : number(text));

/** The schedulers count by themselves; what no scheduler sees is counted where it is throttled. */
function v1BlockIO(read: ReadCgroupFile, name: string): CgroupStats['blockIO']['serviceBytes'] {
  for (const file of [`blkio.${name}`, `blkio.bfq.${name}`, `blkio.throttle.${name}`]) {
    const entries = (read('blkio', file) ?? '').split('\n').flatMap((line) => {
      const [device = '', op = '', value] = line.split(' ');
      const [major, minor] = device.split(':');
      // The last line is the sum of all devices.
      return value === undefined ? [] : [{ major: Number(major), minor: Number(minor), op, value: Number(value) }];
    });
    if (entries.length > 0) return entries;
  }
  return [];
}

function readV2(read: ReadCgroupFile): CgroupStats {
  const cpu = keyedNumbers(read('cpu', 'cpu.stat'));
  const ns = (key: string) => (cpu[key] ?? 0) * nanosPerMicro;
  return {
    cpu: {
      totalNs: ns('usage_usec'),
      userNs: ns('user_usec'),
      kernelNs: ns('system_usec'),
      periods: cpu['nr_periods'] ?? 0,
      throttledPeriods: cpu['nr_throttled'] ?? 0,
      throttledNs: ns('throttled_usec'),
    },
    memory: {
      usageBytes: number(read('memory', 'memory.current')),
      limitBytes: limit(read('memory', 'memory.max')),
      detail: keyedNumbers(read('memory', 'memory.stat')),
    },
    pids: { current: number(read('pids', 'pids.current')), limit: limit(read('pids', 'pids.max')) },
    blockIO: { serviceBytes: v2BlockIO(read('io', 'io.stat') ?? '') },
  };
}

/** `8:0 rbytes=1 wbytes=2 …`, a line per device. */
function v2BlockIO(text: string): CgroupStats['blockIO']['serviceBytes'] {
  return text.split('\n').flatMap((line) => {
    const [major, minor, rest] = /^(\d+):(\d+) (.*)$/.exec(line)?.slice(1) ?? [];
    if (rest === undefined) return [];
    const counts = new Map(rest.split(' ').map((pair) => pair.split('=') as [string, string]));
    const entry = (op: string, key: string) => ({
      major: Number(major),
      minor: Number(minor),
      op,
      value: Number(counts.get(key) ?? 0),
    });
    return [entry('read', 'rbytes'), entry('write', 'wbytes')];
  });
}
