import type { HostConfig } from '#api-types';
import type { ContainerSpec, ProcessSpec, ResourceLimits, SpecMount } from '#runtime';
import type { EngineContext } from '../context.ts';
import { remapOf, rootOf } from '../remap/index.ts';
import { defaultShmBytes } from './config.ts';
import type { Container } from './container.ts';
import { wantsInit } from './container-defaults.ts';
import { grantDevices, withGrants } from './devices.ts';
import { holdMounts } from './held-mounts.ts';
import { initBinary } from './init-binary.ts';
import { linkedEnvironment } from './links/index.ts';
import { enterNamespaces } from './namespaces.ts';
import type { NetworkPlace } from './networking.ts';
import { blockLimits } from './resources.ts';
import { parseSecurity } from './security.ts';
import { specMounts } from './spec-mounts.ts';
import { resolveUser } from './user.ts';

export const defaultPath = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** The spec of a container about to start: its root is mounted and its network namespace exists. */
export function containerSpec(
  ctx: EngineContext,
  container: Container,
  place: { root: string; network: NetworkPlace },
): ContainerSpec {
  const { config, hostConfig } = container.body;
  const defaults = ctx.options.containerDefaults;
  const security = parseSecurity(hostConfig, defaults);
  const granted = grantDevices(ctx, hostConfig);
  const process = withGrants(initProcess(ctx, container, place.root, security), granted);
  return {
    id: container.id,
    rootfs: place.root,
    readonlyRootfs: hostConfig.ReadonlyRootfs ?? false,
    hostname: place.network.hostname ?? config.Hostname ?? '',
    process,
    mounts: [
      ...granted.mounts,
      ...specMounts(
        container.body.mounts,
        holdMounts(ctx, container, process),
        rootOf(remapOf(ctx, hostConfig)?.mapping),
      ),
      ...accountMounts(container, place.network.accountFiles),
    ],
    devices: granted.devices,
    deviceRules: granted.rules,
    ...(granted.hooks ? { hooks: granted.hooks } : {}),
    shmSizeBytes: hostConfig.ShmSize ?? defaultShmBytes,
    resources: resourceLimits(hostConfig),
    networkNamespace: place.network.namespace,
    ...enterNamespaces(ctx, container, place.network),
    privileged: hostConfig.Privileged ?? false,
    ...seccompOf(ctx, security, hostConfig),
    ...(security.writableCgroups ? { writableCgroups: true } : {}),
    sysctls: {
      ...(config.Domainname ? { 'kernel.domainname': config.Domainname } : {}),
      ...hostConfig.Sysctls,
    },
    maskedPaths: hostConfig.MaskedPaths ?? [],
    readonlyPaths: hostConfig.ReadonlyPaths ?? [],
    cgroupParent: hostConfig.CgroupParent || defaults?.cgroupParent || '',
    ...(hostConfig.Runtime ? { runtime: hostConfig.Runtime } : {}),
    ...(wantsInit(hostConfig, defaults) ? { initPath: initBinary(defaults) } : {}),
    annotations: hostConfig.Annotations ?? {},
  };
}

function seccompOf(
  ctx: Pick<EngineContext, 'seccomp'>,
  { seccomp }: ReturnType<typeof parseSecurity>,
  { Privileged }: HostConfig,
): Pick<ContainerSpec, 'seccomp'> {
  const chosen = seccomp ?? (Privileged ? undefined : ctx.seccomp.profile);
  return chosen === undefined || chosen === 'builtin' ? {} : { seccomp: chosen };
}

function initProcess(
  ctx: EngineContext,
  container: Container,
  root: string,
  security: ReturnType<typeof parseSecurity>,
): ProcessSpec {
  const { config, hostConfig } = container.body;
  const user = resolveUser(root, config.User ?? '', hostConfig.GroupAdd ?? []);
  const [height = 0, width = 0] = hostConfig.ConsoleSize ?? [];
  return {
    args: [container.body.path, ...container.body.args],
    env: processEnv(config.Env ?? [], {
      hostname: config.Hostname ?? '',
      terminal: config.Tty ?? false,
      home: user.home,
      linked: linkedEnvironment(ctx, container),
    }),
    cwd: config.WorkingDir || '/',
    terminal: config.Tty ?? false,
    uid: user.uid,
    gid: user.gid,
    additionalGids: user.additionalGids,
    capabilities: security.capabilities,
    noNewPrivileges: security.noNewPrivileges,
    rlimits: processLimits(hostConfig),
    ...(height > 0 && width > 0 ? { consoleSize: { height, width } } : {}),
    oomScoreAdj: hostConfig.OomScoreAdj ?? 0,
  };
}

/** `Ulimits` in the words of the runtime-spec. */
export function processLimits(host: Pick<HostConfig, 'Ulimits'>): NonNullable<ProcessSpec['rlimits']> {
  return (host.Ulimits ?? []).map((limit) => ({
    type: `RLIMIT_${limit.Name.toUpperCase()}`,
    soft: limit.Soft,
    hard: limit.Hard,
  }));
}

/** The variables a process gets: Docker's own first, each replaced by the container's when it sets one of that name; HOME last. */
export function processEnv(
  configured: readonly string[],
  own: { hostname: string; terminal: boolean; home: string; linked: readonly string[] },
): string[] {
  const env = [defaultPath, `HOSTNAME=${own.hostname}`, ...(own.terminal ? ['TERM=xterm'] : []), ...own.linked];
  for (const item of configured) {
    const name = item.split('=', 1)[0]!;
    const at = env.findIndex((other) => other.split('=', 1)[0] === name);
    if (!item.includes('=')) {
      if (at >= 0) env.splice(at, 1);
    } else if (at >= 0) env[at] = item;
    else env.push(item);
  }
  return env.some((item) => item.startsWith('HOME=')) ? env : [...env, `HOME=${own.home}`];
}

/** resolv.conf, hostname and hosts, unless the user mounts something there. */
function accountMounts(container: Container, paths: NetworkPlace['accountFiles']): SpecMount[] {
  const taken = new Set(container.body.mounts.map((mount) => mount.destination));
  const files: readonly (readonly [string, string])[] = [
    ['/etc/resolv.conf', paths.resolvConf],
    ['/etc/hostname', paths.hostname],
    ['/etc/hosts', paths.hosts],
  ];
  const readOnly = container.body.hostConfig.ReadonlyRootfs ? 'ro' : 'rw';
  return files
    .filter(([destination]) => !taken.has(destination))
    .map(([destination, source]) => ({ destination, type: 'bind', source, options: ['rbind', readOnly, 'rprivate'] }));
}

export function resourceLimits(host: HostConfig): ResourceLimits {
  const limits: Record<string, number | string> = {};
  const set = (key: keyof ResourceLimits, value: number | string | null | undefined) => {
    if (value) limits[key] = value;
  };
  set('memoryBytes', host.Memory);
  set('memorySwapBytes', host.MemorySwap);
  set('memoryReservationBytes', host.MemoryReservation);
  set('nanoCpus', host.NanoCpus);
  set('cpuShares', host.CpuShares);
  set('cpuPeriod', host.CpuPeriod);
  set('cpuQuota', host.CpuQuota);
  set('cpusetCpus', host.CpusetCpus);
  set('cpusetMems', host.CpusetMems);
  set('pidsLimit', host.PidsLimit);
  set('cpuRealtimePeriod', host.CpuRealtimePeriod);
  set('cpuRealtimeRuntime', host.CpuRealtimeRuntime);
  const block = blockLimits(host);
  return {
    ...(limits as ResourceLimits),
    ...(host.MemorySwappiness == null ? {} : { memorySwappiness: host.MemorySwappiness }),
    ...(host.OomKillDisable ? { oomKillDisable: true } : {}),
    ...(block ? { block } : {}),
  };
}
