/** How the default bridge and networks of users are meant to be. */
import { addressText, parseCidr } from './address.ts';
import type { BridgePlan } from './bridge-network.ts';
import { defaultPools } from './ipam.ts';
import { bridgeNameOf, defaultBridgeName, networkID, ownerName } from './names.ts';
import type { BridgeOptions, NetworkSpec } from './types.ts';

const defaultMtu = 1500;

export function defaultPlan(options: BridgeOptions): BridgePlan {
  const { instance, bridgeName, bridgeAddress } = options;
  return {
    id: networkID(instance, 'bridge'),
    name: 'bridge',
    createdAt: new Date(),
    predefined: true,
    wish: {
      ...common(options),
      name: bridgeName ?? defaultBridgeName(instance),
      link: bridgeName === undefined ? 'make' : 'must-exist',
      ...(bridgeAddress ? { address: bridgeAddress } : {}),
      mtu: options.mtu ?? defaultMtu,
    },
    auxiliary: [],
    internal: false,
    icc: options.icc ?? true,
    masquerade: options.masquerade ?? true,
    hostBindingIP: options.defaultBridgeBind ?? '',
  };
}

export function userPlan(options: BridgeOptions, spec: NetworkSpec): BridgePlan {
  const { id, name, createdAt, ipRange, auxiliary = [], internal, icc, masquerade, hostBindingIP } = spec;
  return {
    id,
    name,
    createdAt,
    predefined: false,
    wish: {
      ...common(options),
      name: spec.bridgeName ?? bridgeNameOf(id),
      link: 'make',
      ...(spec.subnet ? { address: gatewayInSubnet(spec.subnet, spec) } : {}),
      mtu: spec.mtu ?? options.mtu ?? defaultMtu,
    },
    ...(ipRange ? { ipRange } : {}),
    auxiliary,
    internal,
    icc,
    masquerade,
    hostBindingIP: hostBindingIP || (options.defaultBind ?? ''),
  };
}

function common(options: BridgeOptions) {
  return { owner: ownerName(options.instance), pools: options.addressPools ?? defaultPools };
}

/** The gateway with its prefix length: as given, else the first address that is neither the network's own nor taken by the user. */
function gatewayInSubnet(subnet: string, { gateway, ipRange, auxiliary = [] }: NetworkSpec): string {
  const { base, prefixLength } = parseCidr(subnet).subnet;
  if (gateway) return `${gateway}/${prefixLength}`;
  let first = ipRange ? parseCidr(ipRange).subnet.base : base;
  while (first === base || auxiliary.includes(addressText(first))) first++;
  return `${addressText(first)}/${prefixLength}`;
}
