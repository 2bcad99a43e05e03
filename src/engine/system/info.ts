import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { arch, cpus, hostname, release, totalmem } from 'node:os';
import type { RegistryServiceConfig, SystemInfo, SystemVersion } from '#api-types';
import { messageOf } from '#errdefs';
import type { RuntimeProgram } from '#runtime';
import { cdiDeviceNames, readCdiSpecs } from '../cdi/index.ts';
import { cdiFolders } from '../containers/devices.ts';
import { hostForwards, lacksForwarding } from '../containers/forwarding.ts';
import { readLimitSupport, supportWarnings } from '../containers/limit-support.ts';
import { completeLogConfig, logLimits } from '../containers/log-config.ts';
import { readResourceSupport } from '../containers/resources.ts';
import type { EngineContext } from '../context.ts';
import { formatNs, nowNs } from '../time.ts';
import { apiVersion, engineVersion, minApiVersion } from '../version.ts';

const machineNames: Readonly<Record<string, string>> = { x64: 'x86_64', arm64: 'aarch64' };
const goArchitectures: Readonly<Record<string, string>> = { x64: 'amd64' };

/** When this program's file was written. Asked at once: the file may be replaced while the program runs. */
const buildTime = `${statSync(import.meta.filename)
  .mtime.toISOString()
  .slice(0, 19)}.000000000+00:00`;

/** `GET /info`: the counts, the drivers and why they were chosen, the machine. */
export function systemInfo(ctx: EngineContext, engineID: string): SystemInfo {
  const states = [...ctx.containers.all()].map((container) => container.body.state.status);
  const count = (status: string) => states.filter((state) => state === status).length;
  const runtime = ctx.runtime.info;
  const v1 = runtime.cgroupVersion === 1;
  const support = readLimitSupport(runtime.cgroupVersion);
  const warnings = [
    ...supportWarnings(support, readResourceSupport(runtime.cgroupVersion), runtime.cgroupVersion),
    ...damageWarnings(ctx),
    ...(lacksForwarding(ctx) ? ['WARNING: IPv4 forwarding is disabled'] : []),
  ];
  const folders = cdiFolders(ctx);
  const found = cdiDeviceNames(readCdiSpecs(folders)).map((ID) => ({ Source: 'cdi', ID }));
  return {
    ID: engineID,
    Containers: states.length,
    ContainersRunning: count('running'),
    ContainersPaused: count('paused'),
    ContainersStopped: states.length - count('running') - count('paused'),
    Images: ctx.metadata.images.list().length,
    Driver: ctx.snapshots.name,
    DriverStatus: [
      ...ctx.snapshots.status(),
      ['Chosen Because', ctx.driverReason],
      ['Container Logs', defaultLogText(ctx)],
    ],
    Plugins: {
      Volume: ['local'],
      Network: ['bridge', 'host', 'null'],
      Authorization: null,
      Log: ['journald', 'json-file', 'local', 'syslog'],
    },
    MemoryLimit: support.memory,
    SwapLimit: support.swap,
    CpuCfsPeriod: support.cpuQuota,
    CpuCfsQuota: support.cpuQuota,
    CPUShares: support.cpuShares,
    CPUSet: support.cpuset,
    PidsLimit: support.pids,
    IPv4Forwarding: hostForwards(),
    Debug: ctx.options.debug ?? false,
    NFd: readdirSync('/proc/self/fd').length,
    OomKillDisable: v1,
    NGoroutines: 0,
    SystemTime: formatNs(nowNs()),
    LoggingDriver: ctx.options.logDefaults?.driver ?? 'json-file',
    CgroupDriver: 'cgroupfs',
    CgroupVersion: v1 ? '1' : '2',
    NEventsListener: ctx.events.listenerCount,
    KernelVersion: release(),
    OperatingSystem: operatingSystem(),
    OSVersion: osRelease('VERSION_ID'),
    OSType: 'linux',
    Architecture: machineNames[arch()] ?? arch(),
    IndexServerAddress: 'https://index.docker.io/v1/',
    RegistryConfig: registryConfig(ctx),
    NCPU: cpus().length,
    MemTotal: totalmem(),
    GenericResources: null,
    DockerRootDir: ctx.root,
    HttpProxy: shownProxy('HTTP_PROXY'),
    HttpsProxy: shownProxy('HTTPS_PROXY'),
    NoProxy: shownProxy('NO_PROXY'),
    Name: hostname(),
    Labels: ctx.options.labels ?? [],
    ExperimentalBuild: ctx.options.experimental ?? false,
    ServerVersion: engineVersion,
    Runtimes: Object.fromEntries([...ctx.runtime.runtimes].sort(byName).map(shownRuntime)),
    DefaultRuntime: runtime.shownName,
    Swarm: {
      NodeID: '',
      NodeAddr: '',
      LocalNodeState: 'inactive',
      ControlAvailable: false,
      Error: '',
      RemoteManagers: null,
    },
    LiveRestoreEnabled: ctx.options.liveRestore ?? false,
    Isolation: '',
    InitBinary: ctx.options.containerDefaults?.initPath ?? 'docker-init',
    ContainerdCommit: { ID: '' },
    RuncCommit: { ID: runtime.version },
    InitCommit: { ID: '' },
    SecurityOptions: [
      `name=seccomp,profile=${ctx.seccomp.name}`,
      ...(ctx.remap ? ['name=userns'] : []),
      ...(v1 ? [] : ['name=cgroupns']),
      ...(ctx.options.containerDefaults?.noNewPrivileges ? ['name=no-new-privileges'] : []),
    ],
    FirewallBackend: { Driver: ctx.options.network?.firewall === false ? 'none' : 'nftables' },
    CDISpecDirs: folders,
    ...(found.length > 0 ? { DiscoveredDevices: found } : {}),
    Warnings: warnings.length > 0 ? warnings : null,
  };
}

/** What a look at every blob has found. */
function damageWarnings({ content }: EngineContext): string[] {
  const { length } = content.distrusted();
  if (length === 0) return [];
  return [`WARNING: ${length} damaged blob${length === 1 ? '' : 's'}: run \`wherryd verify --repair\``];
}

/** Without the credentials in it. */
function shownProxy(name: string): string {
  const proxy = process.env[name] || process.env[name.toLowerCase()] || '';
  return proxy.replace(/^([^:/]+:\/\/)?[^/@]*(?:@[^/@]*)*@/, '$1xxxxx:xxxxx@');
}

/** What is kept of a container that says nothing; Docker's API has no field for it. */
function defaultLogText(ctx: EngineContext): string {
  const defaults = ctx.options.logDefaults;
  try {
    const limits = logLimits(completeLogConfig(undefined, defaults), '');
    return limits ? `${limits.maxBytes / 1_000_000} MB × ${limits.maxFiles} each` : 'none';
  } catch (error) {
    return messageOf(error);
  }
}

function registryConfig(ctx: EngineContext): RegistryServiceConfig {
  const insecure = ctx.options.registry?.insecure ?? [];
  // As dockerd shows them.
  const mirrors = (ctx.options.registry?.mirrors ?? []).map((mirror) => mirror.replace(/\/?$/, '/'));
  const hosts = insecure.filter((entry) => !entry.includes('/'));
  const indexes = Object.fromEntries(
    hosts.map((name) => [name, { Mirrors: [], Name: name, Official: false, Secure: false }]),
  );
  return {
    IndexConfigs: { 'docker.io': { Mirrors: mirrors, Name: 'docker.io', Official: true, Secure: true }, ...indexes },
    InsecureRegistryCIDRs: ['::1/128', '127.0.0.0/8', ...insecure.filter((entry) => entry.includes('/'))],
    Mirrors: mirrors.length > 0 ? mirrors : null,
  };
}

function operatingSystem(): string {
  return osRelease('PRETTY_NAME') || 'Linux';
}

function osRelease(key: string): string {
  const line = readText('/etc/os-release')
    .split('\n')
    .find((candidate) => candidate.startsWith(`${key}=`));
  return line?.slice(key.length + 1).replace(/^"(.*)"$/, '$1') ?? '';
}

function readText(path: string): string {
  return existsSync(path) ? readFileSync(path).toString() : '';
}

/** `GET /version`. Components are what really runs containers here. */
export function systemVersion(ctx: EngineContext): SystemVersion {
  const runtime = ctx.runtime.info;
  const goArch = goArchitectures[arch()] ?? arch();
  const build = { BuildTime: buildTime, GitCommit: '', GoVersion: '' };
  return {
    Platform: { Name: 'Wherry' },
    Components: [
      {
        Name: 'Engine',
        Version: engineVersion,
        Details: {
          ApiVersion: ctx.options.apiVersion ?? apiVersion,
          Arch: goArch,
          ...build,
          Experimental: String(ctx.options.experimental ?? false),
          KernelVersion: release(),
          MinAPIVersion: minApiVersion,
          NodeVersion: process.version,
          Os: 'linux',
        },
      },
      { Name: runtime.name, Version: runtime.version, Details: { Path: runtime.path, Reason: runtime.reason } },
      { Name: 'conmon', Version: runtime.conmonVersion, Details: { Path: runtime.conmonPath } },
    ],
    Version: engineVersion,
    ApiVersion: ctx.options.apiVersion ?? apiVersion,
    MinAPIVersion: minApiVersion,
    ...build,
    Os: 'linux',
    Arch: goArch,
    KernelVersion: release(),
    ...(ctx.options.experimental ? { Experimental: true } : {}),
  };
}

const byName = ([left]: readonly [string, unknown], [right]: readonly [string, unknown]) => (left < right ? -1 : 1);

function shownRuntime([name, { path, args }]: readonly [string, RuntimeProgram]) {
  return [name, { path, ...(args.length > 0 ? { runtimeArgs: args } : {}) }] as const;
}
