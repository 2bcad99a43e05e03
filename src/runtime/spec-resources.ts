import { existsSync } from 'node:fs';
import { type OciBlockIo, ociBlockIo } from './block-io.ts';
import type { ResourceLimits } from './types.ts';

const cpuPeriodMicros = 100_000;
const nanosPerCpu = 1_000_000_000;

export interface CgroupFacts {
  readonly version: 1 | 2;
  /** Whether the kernel limits memory and swap together; without it a swap limit is an error, so it is left out. */
  readonly swapLimit: boolean;
}

/** OCI runtime-spec v1.1 config-linux.md §control-groups, without devices. */
export interface OciResources {
  readonly memory?: {
    limit?: number;
    swap?: number;
    reservation?: number;
    swappiness?: number;
    disableOOMKiller?: boolean;
  };
  readonly cpu?: {
    shares?: number;
    quota?: number;
    period?: number;
    realtimeRuntime?: number;
    realtimePeriod?: number;
    cpus?: string;
    mems?: string;
  };
  readonly blockIO?: OciBlockIo;
  readonly pids?: { limit: number };
}

export function readSwapLimit(version: 1 | 2, memoryFolder: string | undefined): boolean {
  if (memoryFolder === undefined) return false;
  return version === 2 || existsSync(`${memoryFolder}/memory.memsw.limit_in_bytes`);
}

/** Docker's limits in the words of the runtime-spec; the runtime turns them into v1 or v2 files. */
export function ociResources(limits: ResourceLimits, facts: CgroupFacts): OciResources {
  const memory = memoryOf(limits, facts);
  const cpu = cpuOf(limits);
  const pids = limits.pidsLimit ?? 0;
  const blockIO = ociBlockIo(limits.block);
  return {
    ...(Object.keys(memory).length > 0 && { memory }),
    ...(Object.keys(cpu).length > 0 && { cpu }),
    ...(pids > 0 && { pids: { limit: pids } }),
    ...(blockIO && { blockIO }),
  };
}

function memoryOf(limits: ResourceLimits, facts: CgroupFacts): NonNullable<OciResources['memory']> {
  const limit = limits.memoryBytes ?? 0;
  const swap = limits.memorySwapBytes || limit * 2;
  return {
    ...(limit > 0 && { limit }),
    ...(limit > 0 && facts.swapLimit && { swap }),
    ...(limits.memoryReservationBytes && { reservation: limits.memoryReservationBytes }),
    ...(limits.memorySwappiness !== undefined && { swappiness: limits.memorySwappiness }),
    ...(limits.oomKillDisable && { disableOOMKiller: true }),
  };
}

const cpuSharesMin = 2;
const cpuSharesMax = 262_144;

/** Why a container cannot start with a share of the processors, in runc's words. */
export function cpuSharesFault(limits: ResourceLimits, version: 1 | 2): string | undefined {
  const bound = cpuSharesBound(limits, version);
  if (bound === undefined) return undefined;
  return `unable to start container process: error during container init: error setting cgroup config for procHooks process: ${bound}`;
}

/** What a share of the processors breaks: cgroup v1 would take the nearest that can be and say nothing. */
export function cpuSharesBound({ cpuShares = 0 }: ResourceLimits, version: 1 | 2): string | undefined {
  if (version === 2 || cpuShares === 0) return undefined;
  if (cpuShares < cpuSharesMin) return `the minimum allowed cpu-shares is ${cpuSharesMin}`;
  return cpuShares > cpuSharesMax ? `the maximum allowed cpu-shares is ${cpuSharesMax}` : undefined;
}

function cpuOf(limits: ResourceLimits): NonNullable<OciResources['cpu']> {
  const quota = limits.nanoCpus ? Math.round((limits.nanoCpus * cpuPeriodMicros) / nanosPerCpu) : limits.cpuQuota;
  const period = limits.nanoCpus ? cpuPeriodMicros : limits.cpuPeriod;
  return {
    ...(limits.cpuShares && { shares: limits.cpuShares }),
    ...(quota !== undefined && quota > 0 && { quota }),
    ...(period && { period }),
    ...(limits.cpuRealtimeRuntime && { realtimeRuntime: limits.cpuRealtimeRuntime }),
    ...(limits.cpuRealtimePeriod && { realtimePeriod: limits.cpuRealtimePeriod }),
    ...(limits.cpusetCpus && { cpus: limits.cpusetCpus }),
    ...(limits.cpusetMems && { mems: limits.cpusetMems }),
  };
}
