import { addressText, type Family, subnetText } from './address.ts';
import type { Bridge, BridgeWish } from './bridge.ts';
import type { AddressPool } from './ipam.ts';
import type { GatewayMode, NetworkInfo, PoolInfo } from './types.ts';

/** How one bridge network is meant to be. */
export interface BridgePlan {
  readonly id: string;
  readonly name: string;
  readonly createdAt: Date;
  readonly predefined: boolean;
  readonly wish: Omit<BridgeWish, 'places' | 'reserved' | 'betweenPorts'>;
  /** One for each family it has. */
  readonly pools: readonly PoolPlan[];
  readonly internal: boolean;
  readonly icc: boolean;
  readonly linkPrefix?: string;
  /** From where published ports are open at the container's own address as well: these links, or every one that is no bridge of ours. */
  readonly direct?: readonly string[] | 'all';
  readonly hostBindingIP: string;
}

/** How it is meant to be in one family. */
export interface PoolPlan {
  readonly family: Family;
  /** The bridge's address with its prefix length; chosen from the pools when absent. */
  readonly address?: string;
  readonly pools: readonly AddressPool[];
  readonly ipRange?: string;
  readonly auxiliary: readonly string[];
  readonly mode: GatewayMode;
  readonly masquerade: boolean;
  readonly inhibited?: boolean;
  readonly hostAddress?: string;
  /** What containers are told in the place of the bridge's address. */
  readonly gateway?: string;
  readonly rangeOnly?: boolean;
}

/** A network as others see it: as it is meant to be, and what it came to once its bridge is there. */
export function bridgeInfo(plan: BridgePlan, bridge: Bridge | undefined): NetworkInfo {
  const { id, name, createdAt, predefined, internal, icc, pools, hostBindingIP, wish, linkPrefix } = plan;
  const has = (family: Family) => pools.some((pool) => pool.family === family);
  return {
    id,
    name,
    driver: 'bridge',
    createdAt,
    predefined,
    internal,
    icc,
    masquerade: pools.every(({ masquerade }) => masquerade),
    hostBindingIP,
    mtu: wish.mtu,
    ...(linkPrefix ? { linkPrefix } : {}),
    ipv4: has(4),
    ...(has(4) ? poolInfo(plan, bridge, 4) : {}),
    ...(has(6) ? { ipv6: poolInfo(plan, bridge, 6) } : {}),
    ...(bridge && { bridgeName: bridge.name }),
  };
}

function poolInfo({ predefined, pools }: BridgePlan, bridge: Bridge | undefined, family: Family): PoolInfo {
  const { ipRange, address, gateway, rangeOnly } = pools.find((pool) => pool.family === family)!;
  const place = bridge?.places.find((one) => one.family === family);
  return {
    ownSubnet: predefined || address !== undefined,
    ...(ipRange === undefined ? {} : { ipRange }),
    ...(gateway === undefined ? {} : { otherGateway: gateway }),
    ...(rangeOnly ? { rangeOnly } : {}),
    ...(predefined ? { wasAsked: address !== undefined } : {}),
    ...(place && { subnet: subnetText(place.subnet) }),
    ...(place?.gateway && { gateway: addressText(place.gateway) }),
  };
}
