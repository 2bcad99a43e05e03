export interface PortBinding {
  readonly containerPort: number;
  readonly protocol: 'tcp' | 'udp' | 'sctp';
  /** Empty is every address. */
  readonly hostIP: string;
  /** 0 picks a free port of the ephemeral range. */
  readonly hostPort: number;
  /** With it, the first free port from `hostPort` to this one. */
  readonly hostPortEnd?: number;
}

export interface BridgeOptions {
  /** Distinguishes daemons: link and table names derive from it. */
  readonly instance: string;
  readonly runRoot: string;
  /** `--bridge`, `--bip`, `--default-address-pool`, `--mtu`, `--iptables`. */
  readonly bridgeName?: string;
  readonly bridgeAddress?: string;
  readonly addressPools?: readonly { readonly base: string; readonly size: number }[];
  readonly mtu?: number;
  readonly firewall: boolean;
}

export interface ConnectOptions {
  readonly networkID: string;
  /** The container's name, for Docker's words about a port that is taken. */
  readonly name?: string;
  readonly ipAddress?: string;
  readonly macAddress?: string;
  readonly ports: readonly PortBinding[];
}

/** A bridge network as created: for inspect and for containers. */
export interface NetworkInfo {
  readonly id: string;
  readonly name: string;
  readonly driver: 'bridge' | 'host' | 'null';
  /** As dockerd does for these three: when this daemon made it, which is at its start. */
  readonly createdAt: Date;
  readonly subnet?: string;
  readonly gateway?: string;
  readonly bridgeName?: string;
  readonly mtu?: number;
}

export interface Endpoint {
  readonly networkID: string;
  readonly endpointID: string;
  /** Without prefix length. */
  readonly ipAddress: string;
  readonly prefixLength: number;
  readonly gateway: string;
  readonly macAddress: string;
  /** With the host ports really bound. */
  readonly ports: readonly PortBinding[];
  readonly hostLink: string;
}

/** A container's network namespace, held by a bind mount under the run root. */
export interface NetworkNamespace {
  readonly path: string;
}

export interface Networks extends AsyncDisposable {
  /** Creates or takes over the default bridge and the base firewall rules. Idempotent. */
  start(): Promise<void>;
  list(): readonly NetworkInfo[];
  /** A new namespace with loopback up; `none` containers have only this. */
  createNamespace(containerID: string): Promise<NetworkNamespace>;
  /** Where a container's namespace is held while it has one. */
  namespacePath(containerID: string): string;
  /** Absent is fine. */
  removeNamespace(containerID: string): Promise<void>;
  /** Address, veth, routes, then ports. Nothing is left when it fails. @throws `conflict` in Docker's words when a port is taken. */
  connect(containerID: string, options: ConnectOptions): Promise<Endpoint>;
  /** Absent is fine. The link itself goes in the background, its address stays taken until then. */
  disconnect(containerID: string, networkID: string): Promise<void>;
  /** After a restart: the endpoints of containers that still run. */
  adopt(containerID: string, endpoint: Endpoint): Promise<void>;
  /** Removes namespaces, links, rules of containers not in `keep`. */
  recover(keep: ReadonlySet<string>): Promise<void>;
  /** One line per leaked link, rule or namespace. */
  verify(keep: ReadonlySet<string>): AsyncIterable<string>;
  /** Removes bridge and rules altogether (only when no container runs). */
  teardown(): Promise<void>;
}
