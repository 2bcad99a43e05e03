import type { Ulimit } from '#api-types';
import {
  checkAddress,
  checkHost,
  checkIPv4,
  checkIPv4Subnet,
  checkIPv6,
  checkIPv6Subnet,
  checkLabel,
  checkMirror,
  checkPrefix,
} from './daemon-checks.ts';
import { absentOptions } from './daemon-refusals.ts';
import { checkProxy } from './proxies.ts';

/** Every option of the daemon, once: flag, key in daemon.json, kind, help. The names are dockerd's. */
export type OptionValue =
  | string
  | number
  | boolean
  | readonly string[]
  | Readonly<Record<string, string>>
  | DriverOptions
  | Readonly<Record<string, Ulimit>>
  | Readonly<Record<string, boolean>>
  | Readonly<Record<string, NamedRuntime>>
  | readonly AddressPool[];

export interface AddressPool {
  readonly base: string;
  readonly size: number;
}

/** Options of networks, by driver. */
export type DriverOptions = Readonly<Record<string, Readonly<Record<string, string>>>>;

export interface NamedRuntime {
  readonly path: string;
  /** In front of every command it is given. */
  readonly args: readonly string[];
}

/** `list`, `map`, `pools`, `runtimes`, `ulimits` and `driver-options` may repeat on the command line. */
export type OptionKind =
  | 'string'
  | 'int'
  | 'bool'
  | 'list'
  | 'map'
  | 'pools'
  | 'runtimes'
  | 'ulimits'
  | 'bytes'
  | 'features'
  | 'driver-options';

export interface OptionSpec {
  readonly flag: string;
  readonly short?: string;
  /** Its name in daemon.json; absent for options that only a command line has. */
  readonly key?: string;
  readonly kind: OptionKind;
  /** What the help calls the value. */
  readonly value?: string;
  readonly help: string;
  /** Checks one value as it is read. Throws a plain Error whose message says what is wrong with it. */
  readonly check?: (value: string) => void;
  /** Read so that it can be refused by name when it asks for something. */
  readonly absent?: boolean;
}

export const daemonOptions: readonly OptionSpec[] = [
  {
    flag: 'add-runtime',
    key: 'runtimes',
    kind: 'runtimes',
    value: 'runtime',
    help: 'Register an additional OCI compatible runtime',
  },
  {
    flag: 'allow-direct-routing',
    key: 'allow-direct-routing',
    kind: 'bool',
    help: 'Allow remote access to published ports on container IP addresses',
  },
  { flag: 'bip', key: 'bip', kind: 'string', help: 'IPv4 address for the default bridge', check: checkPrefix },
  {
    flag: 'bip6',
    key: 'bip6',
    kind: 'string',
    help: 'IPv6 address for the default bridge',
    check: checkIPv6Subnet,
  },
  { flag: 'bridge', short: 'b', key: 'bridge', kind: 'string', help: 'Attach containers to a network bridge' },
  {
    flag: 'cdi-spec-dir',
    key: 'cdi-spec-dirs',
    kind: 'list',
    help: 'CDI specification directories to use (default [/etc/cdi,/var/run/cdi])',
  },
  { flag: 'cgroup-parent', key: 'cgroup-parent', kind: 'string', help: 'Set parent cgroup for all containers' },
  { flag: 'config-file', kind: 'string', help: 'Daemon configuration file (default "/etc/wherry/daemon.json")' },
  {
    flag: 'data-root',
    key: 'data-root',
    kind: 'string',
    help: 'Root directory of persistent state (default "/var/lib/wherry")',
  },
  { flag: 'debug', short: 'D', key: 'debug', kind: 'bool', help: 'Enable debug mode' },
  {
    flag: 'default-address-pool',
    key: 'default-address-pools',
    kind: 'pools',
    value: 'pool-options',
    help: 'Default address pools for node specific local networks',
  },
  {
    flag: 'default-cgroupns-mode',
    key: 'default-cgroupns-mode',
    kind: 'string',
    help: 'Default mode for containers cgroup namespace: "host" or "private" (default: host on cgroup v1, private on v2)',
  },
  {
    flag: 'default-gateway',
    key: 'default-gateway',
    kind: 'string',
    value: 'ip',
    help: 'Default gateway IPv4 address for the default bridge network',
    check: checkIPv4,
  },
  {
    flag: 'default-gateway-v6',
    key: 'default-gateway-v6',
    kind: 'string',
    value: 'ip',
    help: 'Default gateway IPv6 address for the default bridge network',
    check: checkIPv6,
  },
  {
    flag: 'default-ipc-mode',
    key: 'default-ipc-mode',
    kind: 'string',
    help: 'Default mode for containers ipc: "shareable" or "private" (default "private")',
  },
  {
    flag: 'default-network-opt',
    key: 'default-network-opts',
    kind: 'driver-options',
    value: 'mapmap',
    help: 'Default network options',
  },
  {
    flag: 'default-runtime',
    key: 'default-runtime',
    kind: 'string',
    help: 'Default OCI runtime for containers (default: crun or runc, whichever works)',
  },
  {
    flag: 'default-shm-size',
    key: 'default-shm-size',
    kind: 'bytes',
    help: 'Default shm size for containers (default 64MiB)',
  },
  {
    flag: 'default-ulimit',
    key: 'default-ulimits',
    kind: 'ulimits',
    value: 'ulimit',
    help: 'Default ulimits for containers',
  },
  {
    flag: 'default-bind',
    key: 'default-bind',
    kind: 'string',
    value: 'ip',
    help: 'Host IP for port publishing from every network that names none (default 0.0.0.0)',
    check: checkIPv4,
  },
  { flag: 'dns', key: 'dns', kind: 'list', value: 'ipSlice', help: 'DNS server to use', check: checkAddress },
  { flag: 'dns-opt', key: 'dns-opts', kind: 'list', help: 'DNS options to use' },
  { flag: 'dns-search', key: 'dns-search', kind: 'list', help: 'DNS search domains to use' },
  {
    flag: 'exec-root',
    key: 'exec-root',
    kind: 'string',
    help: 'Root directory for execution state files (default: below /run/wherry, by data root)',
  },
  { flag: 'experimental', key: 'experimental', kind: 'bool', help: 'Enable experimental features' },
  {
    flag: 'fixed-cidr',
    key: 'fixed-cidr',
    kind: 'string',
    help: 'IPv4 subnet for the default bridge network',
    check: checkIPv4Subnet,
  },
  {
    flag: 'fixed-cidr-v6',
    key: 'fixed-cidr-v6',
    kind: 'string',
    help: 'IPv6 subnet for the default bridge network',
    check: checkIPv6Subnet,
  },
  { flag: 'group', short: 'G', key: 'group', kind: 'string', help: 'Group for the unix socket (default "docker")' },
  { flag: 'help', kind: 'bool', help: 'Print usage' },
  {
    flag: 'host',
    short: 'H',
    key: 'hosts',
    kind: 'list',
    help: 'Daemon socket(s) to connect to (default "unix:///run/wherry.sock")',
    check: checkHost,
  },
  {
    flag: 'host-gateway-ip',
    key: 'host-gateway-ips',
    kind: 'list',
    help: "IP addresses that the special 'host-gateway' string in --add-host resolves to (default: those of the default bridge)",
    check: checkAddress,
  },
  {
    flag: 'init',
    key: 'init',
    kind: 'bool',
    help: 'Run an init in the container to forward signals and reap processes',
  },
  { flag: 'init-path', key: 'init-path', kind: 'string', help: 'Path to the init (default: the one that comes along)' },
  {
    flag: 'insecure-registry',
    key: 'insecure-registries',
    kind: 'list',
    help: 'Enable insecure registry communication',
  },
  {
    flag: 'http-proxy',
    key: 'http-proxy',
    kind: 'string',
    help: 'HTTP proxy URL to use for outgoing traffic',
    check: checkProxy,
  },
  {
    flag: 'https-proxy',
    key: 'https-proxy',
    kind: 'string',
    help: 'HTTPS proxy URL to use for outgoing traffic',
    check: checkProxy,
  },
  {
    flag: 'icc',
    key: 'icc',
    kind: 'bool',
    help: 'Enable inter-container communication on the default bridge network (default true)',
  },
  {
    flag: 'ip',
    key: 'ip',
    kind: 'string',
    value: 'ip',
    help: 'Host IP for port publishing from the default bridge network (default 0.0.0.0)',
    check: checkIPv4,
  },
  {
    flag: 'ip-forward',
    key: 'ip-forward',
    kind: 'bool',
    help: 'Enable IP forwarding in system configuration (default true)',
  },
  {
    flag: 'ip-forward-no-drop',
    key: 'ip-forward-no-drop',
    kind: 'bool',
    help: 'Leave the policy of the FORWARD chain alone, as is always done here',
  },
  {
    flag: 'ip-masq',
    key: 'ip-masq',
    kind: 'bool',
    help: 'Enable IP masquerading for the default bridge network (default true)',
  },
  {
    flag: 'ip6tables',
    key: 'ip6tables',
    kind: 'bool',
    help: 'Enable addition of firewall rules for IPv6 networks (default true)',
  },
  { flag: 'iptables', key: 'iptables', kind: 'bool', help: 'Enable addition of firewall rules (default true)' },
  { flag: 'ipv6', key: 'ipv6', kind: 'bool', help: 'Enable IPv6 networking for the default bridge network' },
  { flag: 'label', key: 'labels', kind: 'list', help: 'Set key=value labels to the daemon', check: checkLabel },
  { flag: 'live-restore', key: 'live-restore', kind: 'bool', help: 'Keep containers running while the daemon is away' },
  {
    flag: 'log-driver',
    key: 'log-driver',
    kind: 'string',
    help: 'Default driver for container logs (default "json-file")',
  },
  {
    flag: 'log-format',
    key: 'log-format',
    kind: 'string',
    help: 'Set the logging format ("text"|"json") (default "text")',
  },
  {
    flag: 'log-level',
    short: 'l',
    key: 'log-level',
    kind: 'string',
    help: 'Set the logging level ("debug"|"info"|"warn"|"error"|"fatal") (default "info")',
  },
  { flag: 'log-opt', key: 'log-opts', kind: 'map', help: 'Default log driver options for containers' },
  {
    flag: 'max-concurrent-downloads',
    key: 'max-concurrent-downloads',
    kind: 'int',
    help: 'Set the max concurrent downloads (default 3)',
  },
  {
    flag: 'max-concurrent-uploads',
    key: 'max-concurrent-uploads',
    kind: 'int',
    help: 'Set the max concurrent uploads (default 5)',
  },
  {
    flag: 'max-download-attempts',
    key: 'max-download-attempts',
    kind: 'int',
    help: 'Set the max download attempts for each pull (default 5)',
  },
  {
    flag: 'metrics-addr',
    key: 'metrics-addr',
    kind: 'string',
    help: 'Set default address and port to serve the metrics api on',
  },
  { flag: 'mtu', key: 'mtu', kind: 'int', help: 'Set the MTU for the default "bridge" network (default 1500)' },
  {
    flag: 'no-new-privileges',
    key: 'no-new-privileges',
    kind: 'bool',
    help: 'Set no-new-privileges by default for new containers',
  },
  {
    flag: 'no-proxy',
    key: 'no-proxy',
    kind: 'string',
    help: 'Comma-separated list of hosts or IP addresses for which the proxy is skipped',
  },
  { flag: 'pidfile', short: 'p', key: 'pidfile', kind: 'string', help: 'Path to use for daemon PID file' },
  {
    flag: 'registry-mirror',
    key: 'registry-mirrors',
    kind: 'list',
    help: 'Preferred registry mirror',
    check: checkMirror,
  },
  {
    flag: 'reproducible-builds',
    key: 'reproducible-builds',
    kind: 'bool',
    help: 'Date what is built to the image it stands on, not to the clock (default true)',
  },
  {
    flag: 'seccomp-profile',
    key: 'seccomp-profile',
    kind: 'string',
    help: 'Path to seccomp profile. Set to "unconfined" to disable the default seccomp profile (default "builtin")',
  },
  {
    flag: 'shutdown-timeout',
    key: 'shutdown-timeout',
    kind: 'int',
    help: 'Set the default shutdown timeout in seconds (default 15)',
  },
  {
    flag: 'storage-driver',
    short: 's',
    key: 'storage-driver',
    kind: 'string',
    help: 'Storage driver to use: erofs, overlay2 or vfs (default: the first that works)',
  },
  { flag: 'tls', key: 'tls', kind: 'bool', help: 'Use TLS; implied by --tlsverify' },
  {
    flag: 'tlscacert',
    key: 'tlscacert',
    kind: 'string',
    help: 'Trust certs signed only by this CA (default "~/.docker/ca.pem")',
  },
  {
    flag: 'tlscert',
    key: 'tlscert',
    kind: 'string',
    help: 'Path to TLS certificate file (default "~/.docker/cert.pem")',
  },
  { flag: 'tlskey', key: 'tlskey', kind: 'string', help: 'Path to TLS key file (default "~/.docker/key.pem")' },
  { flag: 'tlsverify', key: 'tlsverify', kind: 'bool', help: 'Use TLS and verify the remote' },
  {
    flag: 'trace',
    kind: 'string',
    value: 'file',
    help: 'Write the steps of every container, with their times, to a file that trace viewers draw',
  },
  {
    flag: 'userland-proxy',
    key: 'userland-proxy',
    kind: 'bool',
    help: 'Carry what the kernel cannot lead to published ports (default true)',
  },
  {
    flag: 'userns-remap',
    key: 'userns-remap',
    kind: 'string',
    help: 'User/Group setting for user namespaces: "default", user[:group] or uid[:gid]',
  },
  { flag: 'validate', kind: 'bool', help: 'Validate daemon configuration and exit' },
  { flag: 'version', short: 'v', kind: 'bool', help: 'Print version information and quit' },
  ...absentOptions,
];
