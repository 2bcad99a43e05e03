import type { Filters, IPAMConfig, NetworkContainer, NetworkInspect, NetworkStatus } from '#api-types';
import { EngineError } from '#errdefs';
import type { NetworkInfo, PoolInfo } from '#network';
import type { EngineContext } from '../context.ts';
import { checkFilterKeys, matchesLabels, matchesPattern } from '../filters.ts';
import { knownNetworks, resolveNetwork } from './find.ts';
import { connectedContainers } from './remove.ts';
import { storedNetwork } from './store.ts';

export function listNetworks(ctx: EngineContext, options: { filters?: Filters } = {}): NetworkInspect[] {
  const filters = options.filters ?? {};
  checkFilterKeys(filters, ['dangling', 'driver', 'id', 'label', 'label!', 'name', 'scope', 'type']);
  const any = (key: string, test: (value: string) => boolean) => !filters[key]?.length || filters[key].some(test);
  const dangling = danglingFilter(filters['dangling'] ?? []);
  checkTypes(filters['type'] ?? []);
  const isDangling = (network: NetworkInfo) =>
    !network.predefined && connectedContainers(ctx, network).next().done === true;
  return knownNetworks(ctx)
    .filter(
      (network) =>
        any('driver', (value) => network.driver === value) &&
        any('id', (value) => matchesPattern(value, network.id)) &&
        any('name', (value) => matchesPattern(value, network.name)) &&
        any('scope', (value) => value === 'local') &&
        any('type', (value) => value === (network.predefined ? 'builtin' : 'custom')) &&
        (dangling === undefined || isDangling(network) === dangling) &&
        matchesLabels(storedNetwork(ctx.metadata, network.id)?.labels ?? {}, filters),
    )
    .map((network) => networkView(ctx, network, {}));
}

/** As dockerd reads it for networks, with other words than elsewhere. */
function danglingFilter([value, ...more]: readonly string[]): boolean | undefined {
  if (more.length > 0) throw new EngineError('invalid-argument', 'got more than one value for filter key "dangling"');
  if (value === undefined) return undefined;
  if (/^(1|true)$/.test(value)) return true;
  if (/^(0|false)$/.test(value)) return false;
  const wanted = 'must be "true" (or "1"), or "false" (or "0")';
  throw new EngineError('invalid-argument', `invalid value for filter 'dangling', ${wanted}`);
}

function checkTypes(types: readonly string[]): void {
  const unknown = types.find((type) => type !== 'builtin' && type !== 'custom');
  if (unknown !== undefined) throw new EngineError('unknown', `invalid filter: 'type'='${unknown}'`);
}

/** By name, ID or unique ID prefix. @throws `not-found` `network x not found`. */
export function inspectNetwork(
  ctx: EngineContext,
  reference: string,
  { status = false }: { status?: boolean } = {},
): NetworkInspect {
  const network = resolveNetwork(ctx, reference);
  const view = networkView(ctx, network, attachedContainers(ctx, network));
  return status ? { ...view, Status: networkStatus(ctx, network) } : view;
}

function networkStatus(ctx: EngineContext, { id }: NetworkInfo): NetworkStatus {
  const uses = [...ctx.networks.addressUse(id)].map(([subnet, { taken, free }]) => {
    return [subnet, { IPsInUse: shownCount(taken), DynamicIPsAvailable: shownCount(free) }] as const;
  });
  return { IPAM: uses.length > 0 ? { Subnets: Object.fromEntries(uses) } : {} };
}

const maxUint64 = 2n ** 64n - 1n;

function shownCount(count: bigint): number | bigint {
  return count <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(count) : count > maxUint64 ? maxUint64 : count;
}

function attachedContainers(ctx: EngineContext, network: NetworkInfo): Record<string, NetworkContainer> {
  const attached: Record<string, NetworkContainer> = {};
  for (const container of ctx.containers.all()) {
    const endpoint = Object.values(container.body.networks).find(
      (place) => place.endpoint?.networkID === network.id,
    )?.endpoint;
    if (!endpoint) continue;
    attached[container.id] = {
      Name: container.name,
      EndpointID: endpoint.endpointID,
      MacAddress: endpoint.macAddress,
      IPv4Address: endpoint.ipAddress ? `${endpoint.ipAddress}/${endpoint.prefixLength}` : '',
      IPv6Address: endpoint.ipv6 ? `${endpoint.ipv6.ipAddress}/${endpoint.ipv6.prefixLength}` : '',
    };
  }
  return attached;
}

function networkView(
  ctx: EngineContext,
  network: NetworkInfo,
  containers: Readonly<Record<string, NetworkContainer>>,
): NetworkInspect {
  const stored = storedNetwork(ctx.metadata, network.id);
  return {
    Name: network.name,
    Id: network.id,
    Created: stored?.created ?? network.createdAt.toISOString(),
    Scope: 'local',
    Driver: network.driver,
    EnableIPv4: network.ipv4 ?? true,
    EnableIPv6: network.ipv6 !== undefined,
    IPAM: stored?.ipam ?? {
      Driver: 'default',
      Options: null,
      Config: network.driver === 'bridge' ? defaultPools(network) : null,
    },
    Internal: network.internal ?? false,
    Attachable: stored?.attachable ?? false,
    Ingress: false,
    ConfigFrom: { Network: stored?.configFrom ?? '' },
    ConfigOnly: stored?.configuration !== undefined,
    Containers: containers,
    Options: stored ? (stored.options ?? {}) : network.driver === 'bridge' ? defaultBridgeOptions(ctx, network) : {},
    Labels: stored?.labels ?? {},
  };
}

/** A subnet that was asked for before one that was chosen, as dockerd lists them. */
function defaultPools({ ipv6, ...ipv4 }: NetworkInfo): IPAMConfig[] {
  const shown = ({ subnet = '', gateway = '', ipRange, rangeOnly, otherGateway }: PoolInfo, family: number) => ({
    Subnet: subnet,
    ...(ipRange === undefined ? {} : { IPRange: ipRange }),
    ...(rangeOnly ? {} : { Gateway: gateway }),
    ...(otherGateway ? { AuxiliaryAddresses: { [`DefaultGatewayIPv${family}`]: otherGateway } } : {}),
  });
  if (!ipv6) return [shown(ipv4, 4)];
  const pools = [shown(ipv4, 4), shown(ipv6, 6)];
  return ipv6.wasAsked && !ipv4.wasAsked ? pools.reverse() : pools;
}

function defaultBridgeOptions(ctx: EngineContext, network: NetworkInfo): Record<string, string> {
  return {
    'com.docker.network.bridge.default_bridge': 'true',
    'com.docker.network.bridge.enable_icc': String(network.icc ?? true),
    'com.docker.network.bridge.enable_ip_masquerade': String(
      (ctx.options.network?.firewall ?? true) && (network.masquerade ?? true),
    ),
    'com.docker.network.bridge.host_binding_ipv4': network.hostBindingIP || '0.0.0.0',
    'com.docker.network.bridge.name': network.bridgeName ?? '',
    'com.docker.network.driver.mtu': String(network.mtu ?? 1500),
  };
}
