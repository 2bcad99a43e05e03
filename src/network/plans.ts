/** How the default bridge and networks of users are meant to be. */
import { EngineError } from '#errdefs';
import {
  type Address,
  addressText,
  contains,
  type Family,
  familyOf,
  parseAddress,
  parseCidr,
  subnetText,
} from './address.ts';
import type { BridgePlan, PoolPlan } from './bridge-plan.ts';
import { firstAddress, poolsOf } from './ipam.ts';
import { bridgeNameOf, defaultBridgeName, networkID, ownerName } from './names.ts';
import type { ParentPlan } from './parent-network.ts';
import type { BridgeOptions, NetworkSpec, PoolSpec } from './types.ts';

const defaultMtu = 1500;

export function defaultPlan(options: BridgeOptions): BridgePlan {
  const { instance, bridgeName, directRouting } = options;
  const pool4 = defaultPool(4, options, { own: options.bridgeAddress, range: options.fixedSubnet }, options.gateway);
  const own6 = { own: options.bridgeAddress6, range: options.fixedSubnet6 };
  return {
    id: networkID(instance, 'bridge'),
    name: 'bridge',
    createdAt: new Date(),
    predefined: true,
    wish: {
      owner: ownerName(instance),
      forwards: options.ipForward ?? true,
      name: bridgeName ?? defaultBridgeName(instance),
      link: bridgeName === undefined ? 'make' : 'must-exist',
      mtu: options.mtu ?? defaultMtu,
    },
    pools: options.ipv6 ? [pool4, defaultPool(6, options, own6, options.gateway6)] : [pool4],
    internal: false,
    ...(directRouting ? { direct: 'all' } : {}),
    icc: options.icc ?? true,
    hostBindingIP: options.defaultBridgeBind ?? '',
  };
}

/** As dockerd's: containers have addresses of the range; without an address of its own the bridge has its first, and the range is the subnet. */
function defaultPool(
  family: Family,
  options: BridgeOptions,
  { own, range }: { own: string | undefined; range: string | undefined },
  gateway: string | undefined,
): PoolPlan {
  if (own && range) refuseOutside(own, range);
  const spec: PoolSpec = { ...(range ? { ipRange: range } : {}), ...(range && !own ? { subnet: range } : {}) };
  return {
    ...poolPlan(family, spec, options, options.masquerade ?? true),
    ...(own ? { address: own } : {}),
    ...(range && !own ? { rangeOnly: true } : {}),
    ...(gateway ? { gateway } : {}),
  };
}

function refuseOutside(own: string, range: string): void {
  const { subnet } = parseCidr(own);
  if (contains(subnet, parseCidr(range).subnet.base)) return;
  throw new EngineError('invalid-argument', `range '${range}' is not in subnet '${subnetText(subnet)}'`);
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
      forwards: options.ipForward ?? true,
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
    ...(options.directRouting ? { direct: 'all' } : spec.trustedLinks ? { direct: spec.trustedLinks } : {}),
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
