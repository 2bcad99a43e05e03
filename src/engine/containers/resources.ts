import { existsSync, readFileSync } from 'node:fs';
import type { HostConfig } from '#api-types';
import { EngineError } from '#errdefs';
import type { BlockLimits } from '#runtime';

/** Which limits the kernel's control groups know. */
export interface ResourceSupport {
  readonly blkioWeight: boolean;
  readonly blkioWeightDevice: boolean;
  readonly blkioThrottle: boolean;
  readonly swappiness: boolean;
  readonly oomKillDisable: boolean;
  readonly cpuRealtime: boolean;
}

export function readResourceSupport(cgroupVersion: 1 | 2, root = '/sys/fs/cgroup'): ResourceSupport {
  if (cgroupVersion === 2) {
    const io = / ?\bio\b/.test(readFileSync(`${root}/cgroup.controllers`).toString());
    const never = { swappiness: false, oomKillDisable: false, cpuRealtime: false };
    return { blkioWeight: io, blkioWeightDevice: io, blkioThrottle: io, ...never };
  }
  const has = (file: string) => existsSync(`${root}/${file}`);
  return {
    blkioWeight: has('blkio/blkio.weight'),
    blkioWeightDevice: has('blkio/blkio.weight_device'),
    blkioThrottle: has('blkio/blkio.throttle.read_bps_device'),
    swappiness: has('memory/memory.swappiness'),
    oomKillDisable: has('memory/memory.oom_control'),
    cpuRealtime: has('cpu/cpu.rt_runtime_us'),
  };
}

const invalid = (message: string) => new EngineError('invalid-argument', message);
const discarded = (what: string, consequence: string) =>
  `Your kernel does not support ${what} or the cgroup is not mounted. ${consequence} discarded.`;

/** Takes out what the kernel cannot limit, each with dockerd's warning. @throws `invalid-argument` in its words for what is no limit. */
export function settleResources(
  host: HostConfig,
  kernel: ResourceSupport,
): { hostConfig: HostConfig; warnings: readonly string[] } {
  checkRanges(host, kernel);
  const warnings: string[] = [];
  const settled: { -readonly [K in keyof HostConfig]: HostConfig[K] } = { ...host };
  const drop = <K extends keyof HostConfig>(field: K, empty: HostConfig[K], warning: string) => {
    settled[field] = empty;
    warnings.push(warning);
  };
  if (host.MemorySwappiness != null && !kernel.swappiness) {
    drop('MemorySwappiness', null, discarded('memory swappiness capabilities', 'Memory swappiness'));
  }
  if (host.OomKillDisable && !kernel.oomKillDisable) {
    drop('OomKillDisable', false, 'Your kernel does not support OomKillDisable. OomKillDisable discarded.');
  } else if (host.OomKillDisable && !host.Memory) {
    warnings.push(
      'OOM killer is disabled for the container, but no memory limit is set, this can result in the system running out of resources.',
    );
  }
  if (host.CpuPercent) drop('CpuPercent', 0, 'linux does not support CPU percent. Percent discarded.');
  if (host.BlkioWeight && !kernel.blkioWeight) {
    drop('BlkioWeight', 0, discarded('Block I/O weight', 'Weight'));
  }
  if (host.BlkioWeightDevice?.length && !kernel.blkioWeightDevice) {
    drop('BlkioWeightDevice', [], discarded('Block I/O weight_device', 'Weight-device'));
  }
  for (const [field, what, consequence] of throttles) {
    if (host[field]?.length && !kernel.blkioThrottle) drop(field, [], discarded(what, consequence));
  }
  return { hostConfig: settled, warnings };
}

const throttles = [
  ['BlkioDeviceReadBps', 'BPS Block I/O read limit', 'Block I/O BPS read limit'],
  ['BlkioDeviceWriteBps', 'BPS Block I/O write limit', 'Block I/O BPS write limit'],
  ['BlkioDeviceReadIOps', 'IOPS Block read limit', 'Block I/O IOPS read limit'],
  ['BlkioDeviceWriteIOps', 'IOPS Block write limit', 'Block I/O IOPS write limit'],
] as const;

function checkRanges(host: HostConfig, kernel: ResourceSupport): void {
  const { CpuRealtimePeriod: period = 0, CpuRealtimeRuntime: runtime = 0, MemorySwappiness: swappiness } = host;
  if (host.IOMaximumBandwidth) {
    throw invalid('invalid option: QoS maximum bandwidth configuration is not supported on linux');
  }
  if (host.IOMaximumIOps) throw invalid('invalid option: QoS maximum IOPs configuration is not supported on linux');
  if ((period !== 0 || runtime !== 0) && !kernel.cpuRealtime) {
    throw invalid('kernel does not support CPU real-time scheduler');
  }
  if (period !== 0 && runtime !== 0 && runtime > period) {
    throw invalid('cpu real-time runtime cannot be higher than cpu real-time period');
  }
  if (swappiness != null && (swappiness < 0 || swappiness > 100)) {
    throw invalid(`Invalid value: ${swappiness}, valid memory swappiness range is 0-100`);
  }
  const weights = [host.BlkioWeight ?? 0, ...(host.BlkioWeightDevice ?? []).map(({ Weight }) => Weight)];
  const bad = weights.some((weight) => weight !== 0 && (weight < 10 || weight > 1000));
  if (bad && kernel.blkioWeight) throw invalid('Range of blkio weight is from 10 to 1000');
}

/** Block I/O limits in the runtime's words; undefined for none. */
export function blockLimits(host: HostConfig): BlockLimits | undefined {
  const rates = (list: HostConfig['BlkioDeviceReadBps']) =>
    (list ?? []).map(({ Path, Rate }) => ({ path: Path, value: Rate }));
  const limits = {
    weight: host.BlkioWeight ?? 0,
    weightDevices: (host.BlkioWeightDevice ?? []).map(({ Path, Weight }) => ({ path: Path, value: Weight })),
    readBps: rates(host.BlkioDeviceReadBps),
    writeBps: rates(host.BlkioDeviceWriteBps),
    readIops: rates(host.BlkioDeviceReadIOps),
    writeIops: rates(host.BlkioDeviceWriteIOps),
  };
  const { weight, ...lists } = limits;
  return weight > 0 || Object.values(lists).some((list) => list.length > 0) ? limits : undefined;
}
