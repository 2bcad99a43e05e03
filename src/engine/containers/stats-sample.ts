import { readFileSync } from 'node:fs';
import { totalmem } from 'node:os';
import type { ContainerStats, CpuStats, NetworkStats } from '#api-types';
import { isErrno } from '#errdefs';
import type { CgroupStats } from '#runtime';
import type { EngineContext } from '../context.ts';
import type { Container } from './container.ts';

type Sample = Omit<ContainerStats, 'name' | 'id' | 'read' | 'preread'>;

const nanosPerTick = 10_000_000;
/** Up to softirq: what a hypervisor steals is not counted, as in dockerd. */
const countedCpuFields = 7;

const noCpu: CpuStats = {
  cpu_usage: { total_usage: 0, usage_in_kernelmode: 0, usage_in_usermode: 0 },
  throttling_data: { periods: 0, throttled_periods: 0, throttled_time: 0 },
};

const noBlkio: ContainerStats['blkio_stats'] = {
  io_service_bytes_recursive: null,
  io_serviced_recursive: null,
  io_queue_recursive: null,
  io_service_time_recursive: null,
  io_wait_time_recursive: null,
  io_merged_recursive: null,
  io_time_recursive: null,
  sectors_recursive: null,
};

/** Of a container that does not run. */
export const emptyStats: Sample = {
  pids_stats: {},
  blkio_stats: noBlkio,
  num_procs: 0,
  storage_stats: {},
  cpu_stats: noCpu,
  precpu_stats: noCpu,
  memory_stats: {},
};

/** What dockerd picks from memory.stat, by version. */
const memoryKeys = {
  1: [
    ...['active_anon', 'active_file', 'cache', 'dirty', 'hierarchical_memory_limit', 'hierarchical_memsw_limit'],
    ...['inactive_anon', 'inactive_file', 'mapped_file', 'pgfault', 'pgmajfault', 'pgpgin', 'pgpgout', 'rss'],
    ...['rss_huge', 'total_active_anon', 'total_active_file', 'total_cache', 'total_dirty', 'total_inactive_anon'],
    ...['total_inactive_file', 'total_mapped_file', 'total_pgfault', 'total_pgmajfault', 'total_pgpgin'],
    ...['total_pgpgout', 'total_rss', 'total_rss_huge', 'total_unevictable', 'total_writeback', 'unevictable'],
    'writeback',
  ],
  2: [
    ...['active_anon', 'active_file', 'anon', 'anon_thp', 'file', 'file_dirty', 'file_mapped', 'file_writeback'],
    ...['inactive_anon', 'inactive_file', 'kernel_stack', 'pgactivate', 'pgdeactivate', 'pgfault', 'pglazyfree'],
    ...['pglazyfreed', 'pgmajfault', 'pgrefill', 'pgscan', 'pgsteal', 'shmem', 'slab', 'slab_reclaimable'],
    ...['slab_unreclaimable', 'sock', 'thp_collapse_alloc', 'thp_fault_alloc', 'unevictable'],
    ...['workingset_activate', 'workingset_nodereclaim', 'workingset_refault'],
  ],
} as const;

/** Undefined when the container has no process, or loses it meanwhile. */
export function takeSample(ctx: EngineContext, container: Container): Sample | undefined {
  if (!container.isUp) return undefined;
  const found = ctx.runtime.stats(container.id);
  if (!found) return undefined;
  const networks = networkStats(container);
  return {
    pids_stats: {
      ...(found.pids.current > 0 ? { current: found.pids.current } : {}),
      ...(found.pids.limit > 0 ? { limit: found.pids.limit } : {}),
    },
    blkio_stats: blkioStats(found.blockIO),
    num_procs: 0,
    storage_stats: {},
    cpu_stats: cpuStats(found.cpu),
    precpu_stats: noCpu,
    memory_stats: memoryStats(found.memory, ctx.runtime.info.cgroupVersion),
    ...(networks ? { networks } : {}),
  };
}

/** On v2 only the bytes are known. */
function blkioStats({ serviceBytes, serviced }: CgroupStats['blockIO']): ContainerStats['blkio_stats'] {
  if (!serviced) return { ...noBlkio, io_service_bytes_recursive: serviceBytes.length > 0 ? serviceBytes : null };
  return {
    io_service_bytes_recursive: serviceBytes,
    io_serviced_recursive: serviced,
    io_queue_recursive: [],
    io_service_time_recursive: [],
    io_wait_time_recursive: [],
    io_merged_recursive: [],
    io_time_recursive: [],
    sectors_recursive: [],
  };
}

function cpuStats(cpu: CgroupStats['cpu']): CpuStats {
  const stat = readFileSync('/proc/stat').toString().split('\n');
  const ticks = (stat[0] ?? '').split(/\s+/).slice(1, 1 + countedCpuFields);
  return {
    cpu_usage: {
      total_usage: cpu.totalNs,
      ...(cpu.perCpuNs ? { percpu_usage: cpu.perCpuNs } : {}),
      usage_in_kernelmode: cpu.kernelNs,
      usage_in_usermode: cpu.userNs,
    },
    system_cpu_usage: ticks.reduce((sum, count) => sum + Number(count), 0) * nanosPerTick,
    online_cpus: stat.filter((line) => /^cpu\d/.test(line)).length,
    throttling_data: {
      periods: cpu.periods,
      throttled_periods: cpu.throttledPeriods,
      throttled_time: cpu.throttledNs,
    },
  };
}

/** A limit beyond the machine's memory is none, and the machine's is said. Without a controller nothing is counted, and nothing said. */
function memoryStats(memory: CgroupStats['memory'], version: 1 | 2): ContainerStats['memory_stats'] {
  const detail = Object.fromEntries(memoryKeys[version].map((key) => [key, memory.detail[key] ?? 0]));
  if (memory.limitBytes === 0) return { stats: detail };
  return {
    usage: memory.usageBytes,
    ...(memory.maxUsageBytes ? { max_usage: memory.maxUsageBytes } : {}),
    stats: detail,
    ...(memory.failures ? { failcnt: memory.failures } : {}),
    limit: Math.min(memory.limitBytes || Infinity, totalmem()),
  };
}

/** By interface of its network namespace. A container in the host's has none of its own. */
function networkStats(container: Container): ContainerStats['networks'] {
  if (container.body.hostConfig.NetworkMode === 'host') return undefined;
  const table = readIfThere(`/proc/${container.body.state.pid}/net/dev`);
  const entries = [...table.matchAll(/^\s*([^\s:]+):\s*(.*)$/gm)]
    .filter(([, name]) => name !== 'lo')
    .map(([, name = '', counts = '']) => [name, interfaceStats(counts.split(/\s+/).map(Number))] as const)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return entries.length > 0 ? Object.fromEntries(entries) : undefined;
}

/** Columns of /proc/net/dev: bytes, packets, errors, drops …, eight for each direction. */
function interfaceStats(counts: readonly number[]): NetworkStats {
  const [rxBytes = 0, rxPackets = 0, rxErrors = 0, rxDropped = 0] = counts;
  const [txBytes = 0, txPackets = 0, txErrors = 0, txDropped = 0] = counts.slice(8);
  return {
    rx_bytes: rxBytes,
    rx_packets: rxPackets,
    rx_errors: rxErrors,
    rx_dropped: rxDropped,
    tx_bytes: txBytes,
    tx_packets: txPackets,
    tx_errors: txErrors,
    tx_dropped: txDropped,
  };
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path).toString();
  } catch (error) {
    if (isErrno(error, 'ENOENT') || isErrno(error, 'ESRCH') || isErrno(error, 'EINVAL')) return '';
    throw error;
  }
}
