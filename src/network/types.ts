import type { AddressUse } from './ipam.ts';
import type { LinkWishes } from './link-wishes.ts';
import type { StackedKind } from './netlink/index.ts';

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
  /** The daemon's ID: its own IPv6 subnets derive from it. */
  readonly engineID: string;
  readonly runRoot: string;
  /** `--bridge`, `--bip`, `--default-address-pool`, `--mtu`, `--iptables`. */
  readonly bridgeName?: string;
  readonly bridgeAddress?: string;
  readonly addressPools?: readonly { readonly base: string; readonly size: number }[];
  readonly mtu?: number;
  /** `--ip-forward`: false leaves it to the host whether it forwards; on unless false. */
  readonly ipForward?: boolean;
  /** `--userland-proxy`: false leaves published ports to the kernel alone; on unless false. */
  readonly carriesPorts?: boolean;
  readonly firewall: boolean;
  /** `--ip6tables`: the same for IPv6; on unless false. */
  readonly firewall6?: boolean;
  /** `--ipv6`, `--fixed-cidr-v6`: the default bridge has IPv6, with this subnet. */
  readonly ipv6?: boolean;
  readonly fixedSubnet6?: string;
  /** `--fixed-cidr`, `--bip6`, `--default-gateway`, `--default-gateway-v6`: of the default bridge as well. */
  readonly fixedSubnet?: string;
  readonly bridgeAddress6?: string;
  readonly gateway?: string;
  readonly gateway6?: string;
  /** Published ports are open at the container's own address as well. */
  readonly directRouting?: boolean;
  /** Of the default bridge; both on unless false. */
  readonly icc?: boolean;
  readonly masquerade?: boolean;
  /** Host address of published ports that name none; empty and absent are every address. */
  readonly defaultBridgeBind?: string;
  readonly defaultBind?: string;
}

/**
 * How what arrives from outside reaches containers, and how what they send leaves. `nat`: published ports, and the host's address; `nat-unprotected`: every
 * port as well; `routed`: published ports at the container's own address, in both directions; `isolated`: not at all, not even the host.
 */
export type GatewayMode = 'nat' | 'nat-unprotected' | 'routed' | 'isolated';

export type NetworkDriver = 'bridge' | 'macvlan' | 'ipvlan' | 'host' | 'null';

/** The addresses of one family on a network. */
export interface PoolSpec {
  /** With its prefix length; chosen from the pools when absent. */
  readonly subnet?: string;
  /** The first address of the subnet's range when absent. */
  readonly gateway?: string;
  /** Where addresses are given from, when that is not the whole subnet. */
  readonly ipRange?: string;
  /** Addresses that are never given. */
  readonly auxiliary?: readonly string[];
  /** `nat` when absent. */
  readonly mode?: GatewayMode;
  /** The bridge leaves the gateway's address to somebody else. */
  readonly inhibited?: boolean;
  /** What leaves gets this address, not that of the link it leaves by. */
  readonly hostAddress?: string;
}

/** A network of the user's own, a bridge unless it says otherwise. What it says of itself as a pool is of IPv4. */
export interface NetworkSpec extends PoolSpec {
  readonly id: string;
  readonly name: string;
  readonly createdAt: Date;
  /** On unless false. */
  readonly ipv4?: boolean;
  /** On when there. */
  readonly ipv6?: PoolSpec;
  /** Subnets beside the first of their family; with `stacked` only. */
  readonly more?: readonly (PoolSpec & { readonly subnet: string })[];
  /** It stands on a link of the machine (empty: on one of its own that leads nowhere), and is no bridge. */
  readonly stacked?: { readonly kind: StackedKind; readonly parent: string };
  /** No way out and none in, but for the host. */
  readonly internal: boolean;
  readonly bridgeName?: string;
  /** What links inside are named by, before their number; `eth` when absent. */
  readonly linkPrefix?: string;
  readonly mtu?: number;
  /** Containers may speak to each other. */
  readonly icc: boolean;
  readonly masquerade: boolean;
  /** For ports published on no address in particular; empty is every one. */
  readonly hostBindingIP: string;
  /** Links of the machine from which published ports are open at the container's own address as well. */
  readonly trustedLinks?: readonly string[];
}

export interface ConnectOptions {
  readonly networkID: string;
  /** The container's name, for Docker's words about a port that is taken. */
  readonly name?: string;
  readonly ipAddress?: string;
  readonly ipv6Address?: string;
  readonly macAddress?: string;
  readonly ports: readonly PortBinding[];
  /** Of the networks a container is on, the one with the highest leads out; then the first by name. */
  readonly gatewayPriority?: number;
  readonly link?: LinkWishes;
  readonly resolving?: Resolving;
}

/** A container that another is linked to, and the ports it may ask for. */
export interface LinkedContainer {
  readonly containerID: string;
  readonly ports: readonly { readonly port: number; readonly protocol: PortBinding['protocol'] }[];
}

/** What the name server of a container, and those of its neighbours, know of it. Networks with names have one; the default bridge has none. */
export interface Resolving {
  /** Its names on this network; the first is its own. */
  readonly names: readonly string[];
  /** Names of its own for others (`--link`): alias to a name on this network. */
  readonly links: Readonly<Record<string, string>>;
  /** Servers for everything else, in the order they are asked. */
  readonly servers: readonly string[];
}

/** One family's subnet of a network that has been started. */
export interface PoolInfo {
  readonly subnet?: string;
  /** Absent where the bridge has no address. */
  readonly gateway?: string;
  readonly ipRange?: string;
  /** The user chose the subnet, and may choose addresses of it. */
  readonly ownSubnet?: boolean;
  /** What containers are told in its place. */
  readonly otherGateway?: string;
  /** Of the default bridge: the user named a range and no more, or anything at all. */
  readonly rangeOnly?: boolean;
  readonly wasAsked?: boolean;
  /** Further ones of the same family. */
  readonly moreSubnets?: readonly string[];
}

/** A network as created: for inspect and for containers. What it says of itself as a pool is of IPv4; empty where it has none. */
export interface NetworkInfo extends PoolInfo {
  readonly id: string;
  readonly name: string;
  readonly driver: NetworkDriver;
  /** Of the three that are always there, as dockerd: when this daemon made it, which is at its start. */
  readonly createdAt: Date;
  /** Made by this daemon for itself, not by a user. */
  readonly predefined: boolean;
  /** Host address of ports that are published on none in particular; empty is every one. */
  readonly hostBindingIP?: string;
  readonly icc?: boolean;
  readonly masquerade?: boolean;
  readonly ipv4?: boolean;
  readonly ipv6?: PoolInfo;
  readonly internal?: boolean;
  readonly bridgeName?: string;
  readonly linkPrefix?: string;
  readonly mtu?: number;
}

export interface EndpointAddress {
  /** Without prefix length; empty without one of this family. */
  readonly ipAddress: string;
  readonly prefixLength: number;
  /** Empty where the network leads nowhere. */
  readonly gateway: string;
}

/** What it says of itself as an address is of IPv4. */
export interface Endpoint extends EndpointAddress {
  readonly networkID: string;
  readonly endpointID: string;
  readonly ipv6?: EndpointAddress;
  readonly macAddress: string;
  /** With the host ports really bound. */
  readonly ports: readonly PortBinding[];
  readonly hostLink: string;
  /** `eth0` for the first; empty without a link. */
  readonly linkInside: string;
}

/** A container's network namespace, held by a bind mount under the run root. */
export interface NetworkNamespace {
  readonly path: string;
  /** The user namespace that owns it, held likewise; undefined when that is the daemon's own. */
  readonly user?: string;
}

/** A user namespace: a new one with IDs as /proc/<pid>/uid_map has them, or the one that is held at a path. */
export type UserNamespace = { readonly uidMap: string; readonly gidMap: string } | { readonly path: string };

export interface Networks extends AsyncDisposable {
  /** Creates or takes over the default bridge, the networks that are known and the firewall rules. Idempotent. */
  start(known?: readonly NetworkSpec[]): Promise<void>;
  list(): readonly NetworkInfo[];
  /** How many addresses are taken and free, by subnet; none of a network that gives no addresses. */
  addressUse(networkID: string): ReadonlyMap<string, AddressUse>;
  /** Makes a network. @throws `invalid-argument` for what is no network, `permission-denied` when its subnet is another's here. */
  add(spec: NetworkSpec): Promise<NetworkInfo>;
  /** Nobody may be on it any more. Absent is fine. */
  remove(networkID: string): Promise<void>;
  /** A new namespace with loopback up, in a user namespace of its own when one is asked for; `none` containers have only this. */
  createNamespace(containerID: string, owner?: UserNamespace): Promise<NetworkNamespace>;
  /** Where a container's namespace is held while it has one. */
  namespacePath(containerID: string): string;
  /** Where the user namespace is held that owns the network namespace at a path. */
  userNamespacePath(networkNamespace: string): string;
  /** Absent is fine. */
  removeNamespace(containerID: string): Promise<void>;
  /**
   * Address, veth, routes, ports, then names. Nothing is left when it fails.
   * @throws `conflict` in Docker's words when a port is taken, `permission-denied` when it is on the network already.
   */
  connect(containerID: string, options: ConnectOptions): Promise<Endpoint>;
  /**
   * Publishes these ports of a connected container, in the place of those it published through this network.
   * @throws `conflict` in Docker's words when a port is taken; what was published stays then.
   */
  publish(containerID: string, networkID: string, options: Pick<ConnectOptions, 'name' | 'ports'>): Promise<Endpoint>;
  /**
   * Opens these ports of others to a container, where containers of the network may not speak to each other; in the place of those that were open to it. They
   * are open while both are connected.
   */
  setLinks(containerID: string, networkID: string, links: readonly LinkedContainer[]): Promise<void>;
  /**
   * Absent is fine. The link itself goes in the background, its address stays taken until then; with `live`, for a container that goes on, it is gone and
   * another network leads out.
   */
  disconnect(containerID: string, networkID: string, options?: { live?: boolean }): Promise<void>;
  /** After a restart: the endpoints of containers that still run. */
  adopt(
    containerID: string,
    endpoint: Endpoint,
    options?: Pick<ConnectOptions, 'gatewayPriority' | 'resolving'>,
  ): Promise<void>;
  /** Removes namespaces, links, rules of containers not in `keep`. */
  recover(keep: ReadonlySet<string>): Promise<void>;
  /** One line per leaked link, rule or namespace. */
  verify(keep: ReadonlySet<string>): AsyncIterable<string>;
  /** Removes bridge and rules altogether (only when no container runs). */
  teardown(): Promise<void>;
}
