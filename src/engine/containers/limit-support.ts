import { existsSync, readFileSync } from 'node:fs';
import type { Resources } from '#api-types';
import { EngineError } from '#errdefs';

/** Which limits the machine's control groups can set: a controller may be missing, or not be given to us. */
export interface LimitSupport {
  readonly memory: boolean;
  readonly swap: boolean;
  readonly memoryReservation: boolean;
  readonly pids: boolean;
  readonly cpuShares: boolean;
  readonly cpuQuota: boolean;
  readonly cpuset: boolean;
}

export function readLimitSupport(cgroupVersion: 1 | 2, root = '/sys/fs/cgroup'): LimitSupport {
  if (cgroupVersion === 2) {
    const controllers = readFileSync(`${root}/cgroup.controllers`).toString().trim().split(' ');
    const [memory, pids, cpu, cpuset] = ['memory', 'pids', 'cpu', 'cpuset'].map((name) => controllers.includes(name));
    const memories = { memory: memory!, swap: memory!, memoryReservation: memory! };
    return { ...memories, pids: pids!, cpuShares: cpu!, cpuQuota: cpu!, cpuset: cpuset! };
  }
  const has = (file: string) => existsSync(`${root}/${file}`);
  return {
    memory: has('memory/memory.limit_in_bytes'),
    swap: has('memory/memory.memsw.limit_in_bytes'),
    memoryReservation: has('memory/memory.soft_limit_in_bytes'),
    pids: has('pids'),
    cpuShares: has('cpu/cpu.shares'),
    cpuQuota: has('cpu/cpu.cfs_quota_us') && has('cpu/cpu.cfs_period_us'),
    cpuset: has('cpuset/cpuset.cpus'),
  };
}

const missing = (what: string, consequence: string) =>
  `Your kernel does not support ${what} or the cgroup is not mounted. ${consequence} discarded.`;

const noSwapLimit =
  'Your kernel does not support swap limit capabilities or the cgroup is not mounted. Memory limited without swap.';

type Limits = Pick<
  Resources,
  | 'Memory'
  | 'MemorySwap'
  | 'MemoryReservation'
  | 'PidsLimit'
  | 'NanoCpus'
  | 'CpuShares'
  | 'CpuPeriod'
  | 'CpuQuota'
  | 'CpusetCpus'
  | 'CpusetMems'
>;

/** Takes out the limits that cannot be set, each with dockerd's warning. @throws `invalid-argument` for `--cpus`, as dockerd does. */
export function withoutUnsupported<T extends Limits>(
  given: T,
  support: LimitSupport,
): { readonly limits: T; readonly warnings: readonly string[] } {
  const warnings: string[] = [];
  let limits = given;
  const drop = (changes: Limits, warning: string) => {
    limits = { ...limits, ...changes };
    warnings.push(warning);
  };
  if ((given.Memory ?? 0) > 0 && !support.memory) {
    drop({ Memory: 0, MemorySwap: -1 }, missing('memory limit capabilities', 'Limitation'));
  } else if ((given.Memory ?? 0) > 0 && given.MemorySwap !== -1 && !support.swap) {
    drop({ MemorySwap: -1 }, noSwapLimit);
  }
  if ((given.MemoryReservation ?? 0) > 0 && !support.memoryReservation) {
    drop({ MemoryReservation: 0 }, missing('memory soft limit capabilities', 'Limitation'));
  }
  if ((given.PidsLimit ?? 0) > 0 && !support.pids) {
    drop({ PidsLimit: null }, missing('PIDs limit capabilities', 'PIDs limit'));
  }
  if ((given.NanoCpus ?? 0) > 0 && !support.cpuQuota) {
    const fact = 'as your kernel does not support CPU CFS scheduler or the cgroup is not mounted';
    throw new EngineError('invalid-argument', `NanoCPUs can not be set, ${fact}`);
  }
  if ((given.CpuShares ?? 0) > 0 && !support.cpuShares) drop({ CpuShares: 0 }, missing('CPU shares', 'Shares'));
  if (((given.CpuPeriod ?? 0) !== 0 || (given.CpuQuota ?? 0) !== 0) && !support.cpuQuota) {
    const warning = 'Your kernel does not support CPU CFS scheduler. CPU period/quota discarded.';
    drop({ CpuPeriod: 0, CpuQuota: 0 }, warning);
  }
  if ((given.CpusetCpus || given.CpusetMems) && !support.cpuset) {
    drop({ CpusetCpus: '', CpusetMems: '' }, missing('cpuset', 'Cpuset'));
  }
  return { limits, warnings };
}

/** `Warnings` of `docker info`. */
export function supportWarnings(
  support: LimitSupport,
  block: { readonly blkioWeight: boolean; readonly blkioWeightDevice: boolean; readonly blkioThrottle: boolean },
  cgroupVersion: 1 | 2,
): string[] {
  const rates = ['rbps', 'wbps', 'riops', 'wiops'].map((name) => [block.blkioThrottle, `io.max (${name})`] as const);
  const io = [[block.blkioWeight, 'io.weight'], [block.blkioWeightDevice, 'io.weight (per device)'], ...rates] as const;
  const what: readonly (readonly [boolean, string])[] = [
    [support.memory, 'memory limit'],
    [support.swap, 'swap limit'],
    [support.cpuQuota, 'cpu cfs quota'],
    [support.cpuQuota, 'cpu cfs period'],
    [support.cpuShares, 'cpu shares'],
    [support.cpuset, 'cpuset'],
    ...(cgroupVersion === 2 ? io : []),
  ];
  return what.flatMap(([there, name]) => (there ? [] : [`WARNING: No ${name} support`]));
}
