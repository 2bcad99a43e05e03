import { hostname } from 'node:os';
import type { ContainerConfig, ContainerCreateConfig, HostConfig } from '#api-types';
import { EngineError } from '#errdefs';
import type { RunConfig } from '#oci';
import { defaultMaskedPaths, defaultReadonlyPaths } from '#runtime';
import { checkCpuset } from './cpu-list.ts';
import { mergeHealthcheck } from './health-policy.ts';
import { cleanDestination } from './planned-mount.ts';
import { checkRestartPolicy, hasRestartPolicy } from './restart-policy.ts';
import { parseSignal } from './signal.ts';

const minMemoryBytes = 6 * 1024 * 1024;
export const defaultShmBytes = 64 * 1024 * 1024;

/** The container's configuration over the image's, as dockerd merges them. Key order is dockerd's. @throws `invalid-argument` for a bad signal. */
export function mergeConfig(id: string, body: ContainerCreateConfig, image: RunConfig | undefined): ContainerConfig {
  const overridesEntrypoint = body.Entrypoint !== undefined && body.Entrypoint !== null && body.Entrypoint.length > 0;
  const clearsEntrypoint = body.Entrypoint?.length === 1 && body.Entrypoint[0] === '';
  if (body.StopSignal) parseSignal(body.StopSignal);
  const workingDir = body.WorkingDir || image?.WorkingDir || '';
  const imageCmd = overridesEntrypoint ? null : (image?.Cmd ?? null);
  return {
    Hostname: body.Hostname || defaultHostname(id, body.HostConfig?.NetworkMode),
    Domainname: body.Domainname ?? '',
    User: body.User || image?.User || '',
    AttachStdin: body.AttachStdin ?? false,
    AttachStdout: body.AttachStdout ?? false,
    AttachStderr: body.AttachStderr ?? false,
    ...optional('ExposedPorts', mergeSets(body.ExposedPorts, image?.ExposedPorts)),
    Tty: body.Tty ?? false,
    OpenStdin: body.OpenStdin ?? false,
    StdinOnce: body.StdinOnce ?? false,
    Env: mergeEnv(body.Env ?? [], image?.Env ?? []),
    Cmd: nonEmpty(body.Cmd) ?? imageCmd,
    ...optional('Healthcheck', mergeHealthcheck(body.Healthcheck, image?.Healthcheck)),
    Image: body.Image ?? '',
    Volumes: mergeSets(body.Volumes, image?.Volumes) ?? null,
    WorkingDir: workingDir.startsWith('/') ? cleanDestination(workingDir) : workingDir,
    Entrypoint: clearsEntrypoint ? null : (nonEmpty(body.Entrypoint) ?? image?.Entrypoint ?? null),
    OnBuild: nonEmpty(body.OnBuild) ?? null,
    Labels: { ...image?.Labels, ...body.Labels },
    ...optional('StopSignal', body.StopSignal || image?.StopSignal || undefined),
    ...optional('StopTimeout', body.StopTimeout ?? undefined),
    ...optional('Shell', nonEmpty(body.Shell) ?? image?.Shell),
  };
}

/** A container in the host's network goes by the host's name. */
function defaultHostname(id: string, networkMode: string | undefined): string {
  return networkMode === 'host' ? hostname() : id.slice(0, 12);
}

function optional<K extends string, V>(key: K, value: V | undefined): { [P in K]?: V } {
  return (value === undefined ? {} : { [key]: value }) as { [P in K]?: V };
}

const nonEmpty = (list: readonly string[] | null | undefined) => (list && list.length > 0 ? list : undefined);

export function mergeSets(
  ours: Readonly<Record<string, object>> | null | undefined,
  theirs: Readonly<Record<string, object>> | null | undefined,
): Record<string, Record<string, never>> | undefined {
  const keys = [...Object.keys(theirs ?? {}), ...Object.keys(ours ?? {})].sort();
  return keys.length === 0 ? undefined : Object.fromEntries(keys.map((key) => [key, {}]));
}

/** The container's variables first, then the image's that it does not set. */
export function mergeEnv(ours: readonly string[], theirs: readonly string[]): string[] {
  const names = new Set(ours.map((item) => item.split('=', 1)[0]));
  return [...ours, ...theirs.filter((item) => !names.has(item.split('=', 1)[0]))];
}

/** Every key of HostConfig with dockerd's defaults, in its order. @throws `invalid-argument` for impossible limits. */
export function completeHostConfig(given: HostConfig, runtimeName: string, cgroupVersion: 1 | 2): HostConfig {
  checkLimits(given);
  const memory = given.Memory ?? 0;
  const swap = given.MemorySwap ?? 0;
  return {
    Binds: given.Binds ?? null,
    ContainerIDFile: given.ContainerIDFile ?? '',
    LogConfig: { Type: given.LogConfig?.Type || 'json-file', Config: given.LogConfig?.Config ?? {} },
    NetworkMode: networkMode(given.NetworkMode),
    PortBindings: given.PortBindings ?? {},
    RestartPolicy: {
      Name: given.RestartPolicy?.Name || 'no',
      MaximumRetryCount: given.RestartPolicy?.MaximumRetryCount ?? 0,
    },
    AutoRemove: given.AutoRemove ?? false,
    VolumeDriver: given.VolumeDriver ?? '',
    VolumesFrom: given.VolumesFrom ?? null,
    ConsoleSize: given.ConsoleSize ?? [0, 0],
    ...(given.Annotations ? { Annotations: given.Annotations } : {}),
    CapAdd: given.CapAdd ?? null,
    CapDrop: given.CapDrop ?? null,
    CgroupnsMode: given.CgroupnsMode || (cgroupVersion === 1 || given.Privileged ? 'host' : 'private'),
    Dns: given.Dns ?? [],
    DnsOptions: given.DnsOptions ?? [],
    DnsSearch: given.DnsSearch ?? [],
    ExtraHosts: given.ExtraHosts ?? null,
    GroupAdd: given.GroupAdd ?? null,
    IpcMode: given.IpcMode || 'private',
    Cgroup: given.Cgroup ?? '',
    Links: given.Links ?? null,
    OomScoreAdj: given.OomScoreAdj ?? 0,
    PidMode: given.PidMode ?? '',
    Privileged: given.Privileged ?? false,
    PublishAllPorts: given.PublishAllPorts ?? false,
    ReadonlyRootfs: given.ReadonlyRootfs ?? false,
    SecurityOpt: securityOptions(given),
    ...(Object.keys(given.StorageOpt ?? {}).length > 0 ? { StorageOpt: given.StorageOpt } : {}),
    ...(given.Tmpfs ? { Tmpfs: given.Tmpfs } : {}),
    UTSMode: given.UTSMode ?? '',
    UsernsMode: given.UsernsMode ?? '',
    ShmSize: given.ShmSize || defaultShmBytes,
    ...(given.Sysctls ? { Sysctls: given.Sysctls } : {}),
    Runtime: given.Runtime || runtimeName,
    Isolation: given.Isolation ?? '',
    CpuShares: given.CpuShares ?? 0,
    Memory: memory,
    NanoCpus: given.NanoCpus ?? 0,
    CgroupParent: given.CgroupParent ?? '',
    BlkioWeight: given.BlkioWeight ?? 0,
    BlkioWeightDevice: given.BlkioWeightDevice ?? null,
    BlkioDeviceReadBps: given.BlkioDeviceReadBps ?? null,
    BlkioDeviceWriteBps: given.BlkioDeviceWriteBps ?? null,
    BlkioDeviceReadIOps: given.BlkioDeviceReadIOps ?? null,
    BlkioDeviceWriteIOps: given.BlkioDeviceWriteIOps ?? null,
    CpuPeriod: given.CpuPeriod ?? 0,
    CpuQuota: given.CpuQuota ?? 0,
    CpuRealtimePeriod: given.CpuRealtimePeriod ?? 0,
    CpuRealtimeRuntime: given.CpuRealtimeRuntime ?? 0,
    CpusetCpus: given.CpusetCpus ?? '',
    CpusetMems: given.CpusetMems ?? '',
    Devices: given.Devices ?? null,
    DeviceCgroupRules: given.DeviceCgroupRules ?? null,
    DeviceRequests:
      given.DeviceRequests?.map(({ Driver = '', Count = 0, DeviceIDs, Capabilities, Options }) => ({
        Driver,
        Count,
        DeviceIDs: DeviceIDs ?? null,
        Capabilities: Capabilities ?? null,
        Options: Options ?? null,
      })) ?? null,
    MemoryReservation: given.MemoryReservation ?? 0,
    MemorySwap: memory > 0 && swap === 0 ? memory * 2 : swap,
    MemorySwappiness: given.MemorySwappiness === -1 ? null : (given.MemorySwappiness ?? null),
    OomKillDisable: given.OomKillDisable ?? false,
    PidsLimit: (given.PidsLimit ?? 0) > 0 ? given.PidsLimit! : null,
    Ulimits: given.Ulimits ?? [],
    CpuCount: 0,
    CpuPercent: given.CpuPercent ?? 0,
    IOMaximumIOps: given.IOMaximumIOps ?? 0,
    IOMaximumBandwidth: given.IOMaximumBandwidth ?? 0,
    ...(given.Mounts ? { Mounts: given.Mounts } : {}),
    MaskedPaths: given.Privileged ? null : (given.MaskedPaths ?? defaultMaskedPaths),
    ReadonlyPaths: given.Privileged ? null : (given.ReadonlyPaths ?? defaultReadonlyPaths),
    ...(given.Init === undefined || given.Init === null ? {} : { Init: given.Init }),
  };
}

/** What sees the host's processes or IPC is not confined by labels; dockerd says so on machines without SELinux as well. */
function securityOptions(given: HostConfig): readonly string[] | null {
  const exempt = given.Privileged || given.IpcMode === 'host' || given.PidMode === 'host';
  return exempt ? [...(given.SecurityOpt ?? []), 'label=disable'] : (given.SecurityOpt ?? null);
}

function networkMode(mode: string | undefined): string {
  return mode === undefined || mode === '' || mode === 'default' ? 'bridge' : mode;
}

/** An update may set a swap limit alone: the memory limit is there already. @throws `invalid-argument` in dockerd's words. */
export function checkLimits(given: HostConfig, { isUpdate = false }: { isUpdate?: boolean } = {}): void {
  const { Memory = 0, MemorySwap = 0, MemoryReservation = 0, NanoCpus = 0, CpuQuota = 0, CpuPeriod = 0 } = given;
  const refuse = (message: string) => {
    throw new EngineError('invalid-argument', message);
  };
  if (Memory !== 0 && Memory < minMemoryBytes) refuse('Minimum memory limit allowed is 6MB');
  if (Memory > 0 && MemorySwap > 0 && MemorySwap < Memory) {
    refuse('Minimum memoryswap limit should be larger than memory limit, see usage');
  }
  if (Memory === 0 && MemorySwap > 0 && !isUpdate)
    refuse('You should always set the Memory limit when using Memoryswap limit, see usage');
  if (MemoryReservation > 0 && MemoryReservation < minMemoryBytes) refuse('Minimum memory reservation allowed is 6MB');
  if (Memory > 0 && MemoryReservation > Memory) {
    refuse('Minimum memory limit can not be less than memory reservation limit, see usage');
  }
  if (NanoCpus > 0 && CpuPeriod > 0) refuse('Conflicting options: Nano CPUs and CPU Period cannot both be set');
  if (NanoCpus > 0 && CpuQuota > 0) refuse('Conflicting options: Nano CPUs and CPU Quota cannot both be set');
  const cpus = navigator.hardwareConcurrency;
  if (NanoCpus < 0 || NanoCpus > cpus * 1e9) {
    refuse(`range of CPUs is from 0.01 to ${cpus}.00, as there are only ${cpus} CPUs available`);
  }
  if (CpuPeriod !== 0 && (CpuPeriod < 1000 || CpuPeriod > 1_000_000)) {
    refuse('CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)');
  }
  if (CpuQuota > 0 && CpuQuota < 1000) refuse('CPU cfs quota can not be less than 1ms (i.e. 1000)');
  if ((given.ShmSize ?? 0) < 0) refuse('SHM size can not be less than 0');
  checkRestartPolicy(given.RestartPolicy ?? {});
  if (given.AutoRemove && hasRestartPolicy(given)) {
    refuse("can't create 'AutoRemove' container with restart policy");
  }
  if ((given.CpuShares ?? 0) < 0) {
    refuse(`invalid CPU shares (${given.CpuShares}): value must be a positive integer`);
  }
  checkCpuset(given);
  const score = given.OomScoreAdj ?? 0;
  if (score < -1000 || score > 1000) refuse(`Invalid value ${score}, range for oom score adj is [-1000, 1000]`);
}
