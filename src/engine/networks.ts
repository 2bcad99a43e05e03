import type { Filters, NetworkContainer, NetworkInspect, NetworksPruned } from '#api-types';
import { EngineError } from '#errdefs';
import type { NetworkInfo } from '#network';
import type { EngineContext } from './context.ts';
import { booleanFilter, checkFilterKeys, matchesLabels, matchesPattern } from './filters.ts';

export function listNetworks(ctx: EngineContext, options: { filters?: Filters } = {}): NetworkInspect[] {
  const filters = options.filters ?? {};
  checkFilterKeys(filters, ['dangling', 'driver', 'id', 'label', 'label!', 'name', 'scope', 'type']);
  const any = (key: string, test: (value: string) => boolean) => !filters[key]?.length || filters[key].some(test);
  const dangling = booleanFilter(filters, 'dangling');
  return ctx.networks
    .list()
    .filter(
      (network) =>
        any('driver', (value) => network.driver === value) &&
        any('id', (value) => matchesPattern(value, network.id)) &&
        any('name', (value) => matchesPattern(value, network.name)) &&
        any('scope', (value) => value === 'local') &&
        any('type', (value) => value === 'builtin') &&
        dangling !== true &&
        matchesLabels({}, filters),
    )
    .map((network) => networkView(ctx, network, {}));
}

/** By name, ID or unique ID prefix. @throws `not-found` `network x not found`. */
export function inspectNetwork(ctx: EngineContext, reference: string): NetworkInspect {
  const networks = ctx.networks.list();
  const exact = networks.find((network) => network.id === reference || network.name === reference);
  const byPrefix = networks.filter((network) => reference !== '' && network.id.startsWith(reference));
  if (!exact && byPrefix.length > 1) {
    throw new EngineError(
      'invalid-argument',
      `network ${reference} is ambiguous (${byPrefix.length} matches found on ID)`,
    );
  }
  const network = exact ?? byPrefix[0];
  if (!network) throw new EngineError('not-found', `network ${reference} not found`);
  return networkView(ctx, network, attachedContainers(ctx, network));
}

/** Only the built-in networks exist, and those are never pruned. */
export function pruneNetworks(options: { filters?: Filters } = {}): NetworksPruned {
  checkFilterKeys(options.filters ?? {}, ['label', 'label!', 'until']);
  return { NetworksDeleted: null };
}

function attachedContainers(ctx: EngineContext, network: NetworkInfo): Record<string, NetworkContainer> {
  const attached: Record<string, NetworkContainer> = {};
  for (const container of ctx.containers.all()) {
    const endpoint = container.body.endpoint;
    const onMode = container.isRunning && container.body.hostConfig.NetworkMode === network.name;
    if (!(container.isRunning && endpoint?.networkID === network.id) && !(onMode && network.driver !== 'bridge'))
      continue;
    attached[container.id] = {
      Name: container.name,
      EndpointID: endpoint?.endpointID ?? '',
      MacAddress: endpoint?.macAddress ?? '',
      IPv4Address: endpoint ? `${endpoint.ipAddress}/${endpoint.prefixLength}` : '',
      IPv6Address: '',
    };
  }
  return attached;
}

function networkView(
  ctx: EngineContext,
  network: NetworkInfo,
  containers: Readonly<Record<string, NetworkContainer>>,
): NetworkInspect {
  const isBridge = network.driver === 'bridge';
  return {
    Name: network.name,
    Id: network.id,
    Created: network.createdAt.toISOString(),
    Scope: 'local',
    Driver: network.driver,
    EnableIPv4: true,
    EnableIPv6: false,
    IPAM: {
      Driver: 'default',
      Options: null,
      Config: isBridge ? [{ Subnet: network.subnet ?? '', Gateway: network.gateway ?? '' }] : null,
    },
    Internal: false,
    Attachable: false,
    Ingress: false,
    ConfigFrom: { Network: '' },
    ConfigOnly: false,
    Containers: containers,
    Options: isBridge ? bridgeOptions(ctx, network) : {},
    Labels: {},
  };
}

function bridgeOptions(ctx: EngineContext, network: NetworkInfo): Record<string, string> {
  return {
    'com.docker.network.bridge.default_bridge': 'true',
    'com.docker.network.bridge.enable_icc': 'true',
    'com.docker.network.bridge.enable_ip_masquerade': String(ctx.options.network?.firewall ?? true),
    'com.docker.network.bridge.host_binding_ipv4': '0.0.0.0',
    'com.docker.network.bridge.name': network.bridgeName ?? '',
    'com.docker.network.driver.mtu': String(network.mtu ?? 1500),
  };
}
