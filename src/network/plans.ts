/** How the default bridge and networks of users are meant to be. */
import { type Address, addressText, type Family, familyOf, parseAddress, parseCidr } from './address.ts';
import type { BridgePlan, PoolPlan } from './bridge-plan.ts';
import { firstAddress, poolsOf } from './ipam.ts';
import { bridgeNameOf, defaultBridgeName, networkID, ownerName } from './names.ts';
import type { ParentPlan } from './parent-network.ts';
import type { BridgeOptions, NetworkSpec, PoolSpec } from './types.ts';

const defaultMtu = 1500;

export function defaultPlan(options: BridgeOptions): BridgePlan {
  const { instance, bridgeName, bridgeAddress, masquerade = true } = options;
  const pool4: PoolPlan = {
    ...pools(4, options),
    ...(bridgeAddress ? { address: bridgeAddress } : {}),
    auxiliary: [],
    mode: 'nat',
    masquerade,
  };
  return {
    id: networkID(instance, 'bridge'),
    name: 'bridge',
    createdAt: new Date(),
    predefined: true,
    wish: {
      owner: ownerName(instance),
      name: bridgeName ?? defaultBridgeName(instance),
      link: bridgeName === undefined ? 'make' : 'must-exist',
      mtu: options.mtu ?? defaultMtu,
    },
    pools: options.ipv6 ? [pool4, poolPlan(6, { ...fixedPool6(options) }, options, masquerade)] : [pool4],
    internal: false,
    icc: options.icc ?? true,
    hostBindingIP: options.defaultBridgeBind ?? '',
  };
}

/** As dockerd's: containers have addresses of this subnet, the bridge its first. */
function fixedPool6({ fixedSubnet6 }: BridgeOptions): PoolSpec {
  return fixedSubnet6 === undefined ? {} : { subnet: fixedSubnet6, ipRange: fixedSubnet6 };
}

export function userPlan(options: BridgeOptions, spec: NetworkSpec): BridgePlan {
  const { id, name, createdAt, internal, icc, masquerade, hostBindingIP, ipv4 = true, ipv6 } = spec;
  return {
    id,
    name,
    createdAt,
    predefined: false,
    wish: {
      owner: ownerName(options.instance),
      name: spec.bridgeName ?? bridgeNameOf(id),
      link: 'make',
      mtu: spec.mtu ?? options.mtu ?? defaultMtu,
    },
    pools: [
      ...(ipv4 ? [poolPlan(4, spec, options, masquerade)] : []),
      ...(ipv6 ? [poolPlan(6, ipv6, options, masquerade)] : []),
    ],
    internal,
    icc,
    ...(spec.linkPrefix ? { linkPrefix: spec.linkPrefix } : {}),
    hostBindingIP: hostBindingIP || (options.defaultBind ?? ''),
  };
}

/** Undefined for a bridge. */
export function parentPlan(options: BridgeOptions, spec: NetworkSpec): ParentPlan | undefined {
  const { id, name, createdAt, internal, stacked, mtu, ipv4 = true, ipv6, more = [] } = spec;
  if (!stacked) return undefined;
  return {
    ...stacked,
    id,
    name,
    createdAt,
    internal,
    ...(mtu === undefined ? {} : { mtu }),
    pools: [
      ...(ipv4 ? [poolPlan(4, spec, options, false)] : []),
      ...(ipv6 ? [poolPlan(6, ipv6, options, false)] : []),
      ...more.map((pool) => poolPlan(familyOf(pool.subnet) ?? 4, pool, options, false)),
    ],
  };
}

function poolPlan(family: Family, spec: PoolSpec, options: BridgeOptions, masquerade: boolean): PoolPlan {
  const { subnet, ipRange, auxiliary = [], mode = 'nat', inhibited, hostAddress } = spec;
  return {
    ...pools(family, options),
    ...(subnet ? { address: gatewayInSubnet(subnet, spec) } : {}),
    ...(ipRange ? { ipRange } : {}),
    auxiliary,
    mode,
    masquerade,
    ...(inhibited ? { inhibited } : {}),
    ...(hostAddress ? { hostAddress } : {}),
  };
}

function pools(family: Family, { addressPools, engineID }: BridgeOptions) {
  return { family, pools: poolsOf(family, addressPools, engineID) };
}

/** The gateway with its prefix length: as given, else the first that is free for it. */
function gatewayInSubnet(text: string, { gateway, ipRange, auxiliary = [] }: PoolSpec): string {
  const { subnet } = parseCidr(text);
  if (gateway) return `${gateway}/${subnet.prefixLength}`;
  const range = ipRange ? { range: parseCidr(ipRange).subnet } : {};
  const first: Address = firstAddress(subnet, { ...range, auxiliary: auxiliary.map(parseAddress) });
  return `${addressText(first)}/${subnet.prefixLength}`;
}
