import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { defaultVersion } from '#api';
import { type Compression, parseCompression } from '#diff';
import type { BuildCacheOptions } from '#engine';
import { EngineError, isErrno, messageOf } from '#errdefs';
import { type ListenAddress, parseHost } from '#http';
import { type LogLevel, logLevels } from '#log';
import { refuseConflicts } from './conflicts.ts';
import { type ContainerDefaults, readContainerDefaults } from './container-defaults.ts';
import { readDaemonJson } from './daemon-file.ts';
import { parseFlags, UsageError } from './daemon-flags.ts';
import type { AddressPool, DriverOptions, NamedRuntime, OptionValue } from './daemon-option.ts';
import { notices, refuseUnsupported } from './daemon-refusals.ts';
import { type Proxies, readProxies } from './proxies.ts';
import { type Retain, readRetain } from './retain-options.ts';
import { parseGraceMs, parseScrubIntervalMs } from './undo-options.ts';

/** Everything the daemon is told, from flags and daemon.json, checked. */
export interface DaemonConfig {
  readonly hosts: readonly ListenAddress[];
  /** For TCP hosts; `verify` asks clients for a certificate signed by `caFile`. */
  readonly tls:
    | { readonly verify: boolean; readonly caFile: string; readonly certFile: string; readonly keyFile: string }
    | undefined;
  readonly dataRoot: string;
  readonly execRoot: string | undefined;
  readonly pidFile: string | undefined;
  /** The socket's group, when one was asked for. */
  readonly group: string | undefined;
  readonly debug: boolean;
  /** Clients of Docker offer what Docker calls experimental: `--squash`. */
  readonly experimental: boolean;
  /** What clients are told to speak; older and newer ones are answered by the path. */
  readonly apiVersion: string;
  /** For the log: what was asked for and is done another way. */
  readonly notices: readonly string[];
  readonly logLevel: LogLevel;
  readonly logFormat: 'text' | 'json';
  readonly storageDriver: string | undefined;
  readonly storageOptions: Readonly<Record<string, string>>;
  /** Equal files of layers share their blocks. */
  readonly dedup: 'files' | undefined;
  readonly retain: Retain;
  readonly buildCache: BuildCacheOptions;
  /** Whose subordinate IDs containers get. */
  readonly usernsRemap: string | undefined;
  /** How long what is removed can be brought back; nothing while less of the disk is free. */
  /** With `verify`. */
  readonly repair: boolean;
  /** Every blob is read once in so much time; zero: never. */
  readonly scrubIntervalMs: number;
  /** No layer is begun that would leave less of the disk free. */
  readonly layerReserveBytes: number | undefined;
  readonly undoGraceMs: number;
  readonly undoMinFreePercent: number;
  readonly insecureRegistries: readonly string[];
  readonly registryMirrors: readonly string[];
  readonly bridge: string | undefined;
  readonly bip: string | undefined;
  readonly iptables: boolean;
  readonly ip6tables: boolean;
  readonly ipForward: boolean;
  readonly userlandProxy: boolean;
  /** The default bridge has IPv6, with this subnet. */
  readonly ipv6: boolean;
  readonly fixedCIDRv6: string | undefined;
  /** Of the default bridge: its IPv6 address, the subnet its containers' IPv4 addresses are of, the gateways they are told. */
  readonly bip6: string | undefined;
  readonly fixedCIDR: string | undefined;
  readonly defaultGateway: string | undefined;
  readonly defaultGateway6: string | undefined;
  /** Published ports are open at the container's own address as well. */
  readonly allowDirectRouting: boolean;
  /** What `host-gateway` stands for: one address of each family at most. */
  readonly hostGateways: readonly string[];
  /** What networks have that do not say otherwise, by driver. */
  readonly defaultNetworkOptions: DriverOptions;
  readonly icc: boolean;
  readonly ipMasq: boolean;
  /** Where ports of the default bridge are published, and where those of networks that name no address. */
  readonly ip: string | undefined;
  readonly defaultBind: string | undefined;
  readonly traceFile: string | undefined;
  /** `host:port` of the metrics. */
  readonly metricsAddress: string | undefined;
  readonly addressPools: readonly AddressPool[];
  readonly dns: readonly string[];
  readonly dnsSearch: readonly string[];
  readonly dnsOptions: readonly string[];
  readonly mtu: number | undefined;
  readonly maxConcurrentDownloads: number;
  readonly maxConcurrentUploads: number;
  readonly pushCompression: Compression;
  /** Tries of one request, and in a row of one download. */
  readonly maxDownloadAttempts: number;
  /** Of one large layer. */
  readonly maxDownloadConnections: number;
  /** Of what the daemon itself fetches. */
  readonly proxies: Proxies;
  readonly shutdownTimeoutSeconds: number;
  readonly liveRestore: boolean;
  /** The OCI runtime's path or name; undefined lets the engine choose. */
  readonly runtimePath: string | undefined;
  /** The name it was asked for by. */
  readonly runtimeName: string | undefined;
  readonly runtimeArgs: readonly string[];
  /** Those a container may ask for by name. */
  readonly runtimes: Readonly<Record<string, NamedRuntime>>;
  /** A path, `unconfined` or `builtin`. */
  readonly seccompProfile: string;
  /** What containers get that do not say otherwise. */
  readonly containerDefaults: ContainerDefaults;
  /** Times in images that are built follow the base image, not the clock. */
  readonly reproducibleBuilds: boolean;
  readonly labels: readonly string[];
  readonly logDriver: string;
  readonly logOptions: Readonly<Record<string, string>>;
  readonly cdiSpecDirs: readonly string[];
}

export type Invocation =
  | { readonly kind: 'help' }
  | { readonly kind: 'version' }
  /** `run` the daemon, `verify` its store, or only `validate` the configuration. */
  | { readonly kind: 'run' | 'verify' | 'validate'; readonly config: DaemonConfig };

const defaultConfigFile = '/etc/wherry/daemon.json';
const defaultHost = 'unix:///run/wherry.sock';
/** Shared with where it exists; any other has to. */
export const defaultGroup = 'docker';
const defaultDataRoot = '/var/lib/wherry';

/**
 * Reads a command line and the daemon.json it names.
 * @throws UsageError for a command line that cannot be understood, `invalid-argument` for a configuration that cannot be used.
 */
export async function readInvocation(args: readonly string[]): Promise<Invocation> {
  const { given, positional } = parseFlags(args);
  if (given.get('help') === true) return { kind: 'help' };
  if (given.get('version') === true) return { kind: 'version' };
  const verify = positional[0] === 'verify';
  if (positional.length > (verify ? 1 : 0)) {
    throw new UsageError(verify ? '"wherryd verify" accepts no arguments.' : '"wherryd" accepts no arguments.');
  }
  const values = await mergeFile(given);
  const config = buildConfig(values);
  return { kind: given.get('validate') === true ? 'validate' : verify ? 'verify' : 'run', config };
}

type Values = ReadonlyMap<string, OptionValue>;

/** A file that was named must be there; the default one need not. */
async function mergeFile(given: Values): Promise<Values> {
  const named = given.get('config-file') as string | undefined;
  const path = named ?? defaultConfigFile;
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    if (named === undefined && isErrno(cause, 'ENOENT')) return given;
    const fact = isErrno(cause, 'ENOENT') ? `open ${path}: no such file or directory` : messageOf(cause);
    throw unusable(path, fact, cause);
  }
  try {
    const fromFile = readDaemonJson(text);
    refuseConflicts(given, fromFile);
    return new Map([...fromFile, ...given]);
  } catch (cause) {
    throw unusable(path, messageOf(cause), cause);
  }
}

function unusable(path: string, fact: string, cause: unknown): EngineError {
  const message = `unable to configure the daemon with file ${path}: ${fact}`;
  return new EngineError('invalid-argument', message, { cause });
}

function buildConfig(values: Values): DaemonConfig {
  const text = (flag: string) => (values.get(flag) as string | undefined) || undefined;
  const flag = (name: string, fallback = false) => (values.get(name) as boolean | undefined) ?? fallback;
  const list = (name: string) => (values.get(name) as readonly string[] | undefined) ?? [];
  refuseUnsupported(values);
  if (text('bridge') !== undefined && text('bip') !== undefined) {
    const message = 'You specified -b & --bip, mutually exclusive options. Please specify only one';
    throw new EngineError('invalid-argument', message);
  }
  for (const name of ['fixed-cidr-v6', 'bip6', 'default-gateway-v6']) {
    if (text(name) === undefined || flag('ipv6')) continue;
    throw new EngineError('invalid-argument', `${name} is of the default bridge with IPv6: set ipv6 as well`);
  }
  refuseTwoOfAFamily(list('host-gateway-ip'));
  const tls = tlsFiles(values);
  return {
    notices: notices(values),
    hosts: hosts(list('host'), tls !== undefined, text('group') ?? defaultGroup),
    tls,
    dataRoot: text('data-root') ?? defaultDataRoot,
    execRoot: text('exec-root'),
    pidFile: text('pidfile'),
    group: text('group'),
    debug: flag('debug'),
    experimental: flag('experimental'),
    apiVersion: text('api-version') ?? defaultVersion,
    logLevel: logLevel(text('log-level'), flag('debug')),
    logFormat: logFormat(text('log-format')),
    storageDriver: storageDriver(text('storage-driver')),
    storageOptions: storageOptions(list('storage-opt')),
    dedup: dedup(text('dedup')),
    buildCache: (values.get('builder') as BuildCacheOptions | undefined) ?? {},
    retain: readRetain(text('retain'), list('retain-repository')),
    usernsRemap: text('userns-remap'),
    repair: flag('repair'),
    scrubIntervalMs: parseScrubIntervalMs(text('scrub-interval')),
    layerReserveBytes: values.get('layer-reserve') as number | undefined,
    undoGraceMs: parseGraceMs(text('undo-grace')),
    undoMinFreePercent: percent(count(values, 'undo-min-free', 'undo min free', 15)),
    insecureRegistries: list('insecure-registry'),
    registryMirrors: list('registry-mirror'),
    bridge: text('bridge'),
    bip: text('bip'),
    iptables: flag('iptables', true),
    ip6tables: flag('ip6tables', true),
    ipForward: flag('ip-forward', true),
    userlandProxy: flag('userland-proxy', true),
    ipv6: flag('ipv6'),
    fixedCIDRv6: text('fixed-cidr-v6'),
    bip6: text('bip6'),
    fixedCIDR: text('fixed-cidr'),
    defaultGateway: text('default-gateway'),
    defaultGateway6: text('default-gateway-v6'),
    allowDirectRouting: flag('allow-direct-routing'),
    hostGateways: list('host-gateway-ip'),
    defaultNetworkOptions: (values.get('default-network-opt') as DriverOptions | undefined) ?? {},
    icc: flag('icc', true),
    ipMasq: flag('ip-masq', true),
    ip: text('ip'),
    defaultBind: text('default-bind'),
    traceFile: text('trace'),
    metricsAddress: text('metrics-addr'),
    addressPools: (values.get('default-address-pool') as readonly AddressPool[] | undefined) ?? [],
    dns: list('dns'),
    dnsSearch: list('dns-search'),
    dnsOptions: list('dns-opt'),
    mtu: count(values, 'mtu', 'default MTU', 0) || undefined,
    maxConcurrentDownloads: count(values, 'max-concurrent-downloads', 'max concurrent downloads', 3) || 3,
    pushCompression: parseCompression(text('push-compression') ?? 'gzip'),
    maxConcurrentUploads: count(values, 'max-concurrent-uploads', 'max concurrent uploads', 5) || 5,
    maxDownloadAttempts: count(values, 'max-download-attempts', 'max download attempts', 5) || 5,
    maxDownloadConnections: count(values, 'max-download-connections', 'max download connections', 4) || 4,
    proxies: readProxies(text),
    shutdownTimeoutSeconds: (values.get('shutdown-timeout') as number | undefined) ?? 15,
    liveRestore: flag('live-restore'),
    ...defaultRuntime(values),
    seccompProfile: text('seccomp-profile') ?? 'builtin',
    containerDefaults: readContainerDefaults(values),
    runtimeName: text('default-runtime'),
    runtimes: namedRuntimes(values),
    reproducibleBuilds: flag('reproducible-builds', true),
    labels: list('label'),
    logDriver: text('log-driver') ?? 'json-file',
    logOptions: (values.get('log-opt') as Readonly<Record<string, string>> | undefined) ?? {},
    cdiSpecDirs: list('cdi-spec-dir'),
  };
}

function refuseTwoOfAFamily(addresses: readonly string[]): void {
  for (const family of [4, 6]) {
    if (addresses.filter((address) => isIP(address) === family).length < 2) continue;
    throw new EngineError('invalid-argument', `only one IPv${family} host gateway IP address can be specified`);
  }
}

function hosts(wanted: readonly string[], tls: boolean, group: string): readonly ListenAddress[] {
  const texts = wanted.length === 0 ? [defaultHost] : wanted;
  return texts.map((text) => {
    const address = parseHost(text, { tls });
    return address.kind === 'unix' ? { ...address, group } : address;
  });
}

function tlsFiles(values: Values): DaemonConfig['tls'] {
  const verify = values.get('tlsverify') === true;
  if (!verify && values.get('tls') !== true) return undefined;
  const folder = process.env['DOCKER_CERT_PATH'] ?? join(homedir(), '.docker');
  const file = (flag: string, name: string) => (values.get(flag) as string | undefined) || join(folder, name);
  return {
    verify,
    caFile: file('tlscacert', 'ca.pem'),
    certFile: file('tlscert', 'cert.pem'),
    keyFile: file('tlskey', 'key.pem'),
  };
}

function count(values: Values, flag: string, what: string, fallback: number): number {
  const value = (values.get(flag) as number | undefined) ?? fallback;
  if (value < 0) throw new EngineError('invalid-argument', `invalid ${what}: ${value}`);
  return value;
}

function percent(value: number): number {
  if (value > 100) throw new EngineError('invalid-argument', `invalid undo min free: ${value}: more than 100 percent`);
  return value;
}

function logLevel(text: string | undefined, debug: boolean): LogLevel {
  const level = logLevels.find((one) => one === (text ?? 'info'));
  if (level === undefined) throw new EngineError('invalid-argument', `invalid logging level: ${text}`);
  return debug ? 'debug' : level;
}

function logFormat(format = 'text'): DaemonConfig['logFormat'] {
  if (format === 'text' || format === 'json') return format;
  throw new EngineError('invalid-argument', `invalid log format: ${format}`);
}

function dedup(mode = 'none'): DaemonConfig['dedup'] {
  if (mode === 'none') return undefined;
  if (mode === 'files') return mode;
  throw new EngineError('invalid-argument', `invalid dedup: ${mode}: it is none or files`);
}

const retiredDrivers = ['aufs', 'devicemapper', 'overlay'];
const storageDrivers = ['erofs', 'overlay2', 'btrfs', 'zfs', 'fuse-overlayfs', 'vfs'];

function storageDriver(name: string | undefined): string | undefined {
  if (name === undefined || storageDrivers.includes(name)) return name;
  if (retiredDrivers.includes(name)) {
    throw new EngineError(
      'invalid-argument',
      `storage driver ${name}: Docker has retired it, and so it is not supported here; with the daemon that has your images run ` +
        '`docker save -o images.tar IMAGE...`, then start this daemon with another driver and run `docker load -i images.tar`',
    );
  }
  const known = `${storageDrivers.slice(0, -1).join(', ')} or ${storageDrivers.at(-1)}`;
  throw new EngineError('invalid-argument', `storage driver ${name}: not supported, use ${known}`);
}

const namedRuntimes = (values: Values) =>
  (values.get('add-runtime') as Readonly<Record<string, NamedRuntime>> | undefined) ?? {};

function defaultRuntime(values: Values): Pick<DaemonConfig, 'runtimePath' | 'runtimeArgs'> {
  const name = values.get('default-runtime') as string | undefined;
  const named = namedRuntimes(values);
  if (name === undefined || name === '') return { runtimePath: undefined, runtimeArgs: [] };
  if (Object.hasOwn(named, name)) return { runtimePath: named[name]!.path, runtimeArgs: named[name]!.args };
  if (name === 'runc' || name === 'crun') return { runtimePath: name, runtimeArgs: [] };
  throw new EngineError('invalid-argument', `specified default runtime '${name}' does not exist`);
}

/** Which of them a driver has it says itself, once it is chosen. */
function storageOptions(pairs: readonly string[]): Readonly<Record<string, string>> {
  const options = pairs.map((pair) => {
    const at = pair.indexOf('=');
    if (at > 0) return [pair.slice(0, at).trim().toLowerCase(), pair.slice(at + 1).trim()] as const;
    throw new EngineError('invalid-argument', `storage-opt ${pair}: must be formatted 'driver.option=value'`);
  });
  return Object.fromEntries(options);
}
