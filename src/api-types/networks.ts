import type { StringMap } from './common.ts';

export interface PortBinding {
  readonly HostIp?: string;
  readonly HostPort?: string;
}

/** `80/tcp` to its bindings; null is exposed and not published. */
export type PortMap = Readonly<Record<string, readonly PortBinding[] | null>>;

export interface EndpointIPAMConfig {
  readonly IPv4Address?: string;
  readonly IPv6Address?: string;
  readonly LinkLocalIPs?: readonly string[] | null;
}

/** A container's place on one network. Fields in the order dockerd writes them; the first ones are the caller's, those from `NetworkID` on the engine's. */
export interface EndpointSettings {
  readonly IPAMConfig?: EndpointIPAMConfig | null;
  readonly Links?: readonly string[] | null;
  readonly Aliases?: readonly string[] | null;
  readonly MacAddress?: string;
  readonly DriverOpts?: StringMap | null;
  readonly GwPriority?: number;
  readonly NetworkID?: string;
  readonly EndpointID?: string;
  readonly Gateway?: string;
  readonly IPAddress?: string;
  readonly IPPrefixLen?: number;
  readonly IPv6Gateway?: string;
  readonly GlobalIPv6Address?: string;
  readonly GlobalIPv6PrefixLen?: number;
  readonly DNSNames?: readonly string[] | null;
}

export interface Address {
  readonly Addr: string;
  readonly PrefixLen: number;
}

/** Fields from `EndpointID` to `MacAddress` repeat the default bridge's endpoint, empty elsewhere. */
export interface NetworkSettings {
  readonly Bridge: string;
  readonly SandboxID: string;
  readonly SandboxKey: string;
  readonly Ports: PortMap;
  readonly HairpinMode: boolean;
  readonly LinkLocalIPv6Address: string;
  readonly LinkLocalIPv6PrefixLen: number;
  readonly SecondaryIPAddresses: readonly Address[] | null;
  readonly SecondaryIPv6Addresses: readonly Address[] | null;
  readonly EndpointID: string;
  readonly Gateway: string;
  readonly GlobalIPv6Address: string;
  readonly GlobalIPv6PrefixLen: number;
  readonly IPAddress: string;
  readonly IPPrefixLen: number;
  readonly IPv6Gateway: string;
  readonly MacAddress: string;
  readonly Networks: Readonly<Record<string, EndpointSettings>>;
}

export interface IPAMConfig {
  readonly Subnet?: string;
  readonly IPRange?: string;
  readonly Gateway?: string;
  readonly AuxiliaryAddresses?: StringMap;
}

export interface IPAM {
  readonly Driver: string;
  readonly Options: StringMap | null;
  readonly Config: readonly IPAMConfig[] | null;
}

export interface NetworkContainer {
  readonly Name: string;
  readonly EndpointID: string;
  readonly MacAddress: string;
  readonly IPv4Address: string;
  readonly IPv6Address: string;
}

/** Of a subnet, by its prefix: addresses that are taken or reserved, and those of its range that may still be given out. A bigint where a number
 * would not hold it. */
export interface SubnetStatus {
  readonly IPsInUse: number | bigint;
  readonly DynamicIPsAvailable: number | bigint;
}

export interface NetworkStatus {
  /** No `Subnets` where the engine gives no addresses. */
  readonly IPAM: { readonly Subnets?: Readonly<Record<string, SubnetStatus>> };
}

export interface NetworkInspect {
  readonly Name: string;
  readonly Id: string;
  readonly Created: string;
  readonly Scope: 'local' | 'global' | 'swarm';
  readonly Driver: string;
  readonly EnableIPv4: boolean;
  readonly EnableIPv6: boolean;
  readonly IPAM: IPAM;
  readonly Internal: boolean;
  readonly Attachable: boolean;
  readonly Ingress: boolean;
  readonly ConfigFrom: { readonly Network: string };
  readonly ConfigOnly: boolean;
  /** Filled by inspect, empty in lists. */
  readonly Containers: Readonly<Record<string, NetworkContainer>>;
  readonly Options: StringMap | null;
  readonly Labels: StringMap | null;
  /** Told by an inspect that asks for it. */
  readonly Status?: NetworkStatus;
}

/** `POST /networks/create`. */
export interface NetworkCreateConfig {
  readonly Name?: string;
  /** Always so since API 1.44. */
  readonly CheckDuplicate?: boolean;
  readonly Driver?: string;
  readonly Scope?: string;
  readonly EnableIPv4?: boolean;
  readonly EnableIPv6?: boolean;
  readonly IPAM?: Partial<IPAM> | null;
  readonly Internal?: boolean;
  readonly Attachable?: boolean;
  readonly Ingress?: boolean;
  readonly ConfigOnly?: boolean;
  readonly ConfigFrom?: { readonly Network?: string } | null;
  readonly Options?: StringMap | null;
  readonly Labels?: StringMap | null;
}

export interface NetworkCreated {
  readonly Id: string;
  readonly Warning: string;
}

/** `POST /networks/{id}/connect`. */
export interface NetworkConnectConfig {
  readonly Container?: string;
  readonly EndpointConfig?: EndpointSettings | null;
}

/** `POST /networks/{id}/disconnect`. */
export interface NetworkDisconnectConfig {
  readonly Container?: string;
  readonly Force?: boolean;
}

export interface NetworksPruned {
  readonly NetworksDeleted: readonly string[] | null;
}
