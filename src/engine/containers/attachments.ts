/** A container's networks as they were asked for: decided at create, changed by connect and disconnect, honoured at every start. */
import { isIP } from 'node:net';
import type { ContainerCreateConfig, EndpointSettings } from '#api-types';
import { EngineError, isKind } from '#errdefs';
import { type Family, isAddressIn, type NetworkInfo, type PoolInfo, type Resolving } from '#network';
import type { EngineContext } from '../context.ts';
import { findNetwork } from '../networks/find.ts';
import { nameServers } from './account-files.ts';
import type { Container } from './container.ts';
import { linkLocalFaults, sysctlFaults } from './endpoint-options.ts';
import type { NetworkAttachment } from './record.ts';

/** The networks of a create call: that of `NetworkMode`, and what `EndpointsConfig` adds. Keys are network names where the network is there already. */
export function requestedNetworks(
  ctx: EngineContext,
  create: ContainerCreateConfig,
  mode: string,
): Record<string, NetworkAttachment> {
  if (mode.startsWith('container:')) return {};
  const nameOf = (reference: string) => {
    const name = reference === 'default' ? 'bridge' : reference;
    return findNetwork(ctx, name)?.name ?? name;
  };
  const attachments: Record<string, NetworkAttachment> = { [nameOf(mode)]: newAttachment(undefined) };
  for (const [reference, settings] of Object.entries(create.NetworkingConfig?.EndpointsConfig ?? {})) {
    attachments[nameOf(reference)] = newAttachment(settings ?? undefined);
  }
  const own = attachments[nameOf(mode)]!;
  const links = predefinedModes.includes(mode) ? null : (create.HostConfig?.Links ?? null);
  // Older clients say of the container what belongs to its network.
  attachments[nameOf(mode)] = {
    ...own,
    config: {
      ...own.config,
      MacAddress: own.config.MacAddress || (create.MacAddress ?? ''),
      Links: own.config.Links ?? (links?.length ? links : null),
    },
  };
  for (const [name, { config }] of Object.entries(attachments)) {
    // One that is not there yet is judged at start.
    const network = findNetwork(ctx, name);
    if (network) refuseFaults(network, config, `invalid config for network ${name}: `);
  }
  return attachments;
}

const predefinedModes = ['', 'default', 'bridge', 'none', 'host'];

/** `container:x` by its ID, where x is there already. */
export function normalMode(ctx: EngineContext, mode: string): string {
  if (!mode.startsWith('container:')) return mode;
  const reference = mode.slice('container:'.length);
  if (reference === '') {
    throw new EngineError('invalid-argument', 'invalid network mode: invalid container format container:<name|id>');
  }
  try {
    return `container:${ctx.containers.resolve(reference).id}`;
  } catch (error) {
    if (isKind(error, 'not-found')) return mode;
    throw error;
  }
}

/** What a container that has the host's network, or joins another's, can't have of its own. @throws `invalid-argument` in dockerd's words. */
export function checkJoined(create: ContainerCreateConfig): void {
  const host = create.HostConfig ?? {};
  if (host.NetworkMode === 'host' && host.Links?.length) {
    throw new EngineError(
      'invalid-argument',
      "conflicting options: host type networking can't be used with links. This would result in undefined behavior",
    );
  }
  if (!host.NetworkMode?.startsWith('container:')) return;
  const conflicts: readonly (readonly [unknown, string])[] = [
    [create.Hostname, 'hostname and the network mode'],
    [host.Links?.length, "container type network can't be used with links. This would result in undefined behavior"],
    [host.Dns?.length, 'dns and the network mode'],
    [host.ExtraHosts?.length, 'custom host-to-IP mapping and the network mode'],
    [create.MacAddress, 'mac-address and the network mode'],
    [
      Object.keys(host.PortBindings ?? {}).length > 0 || host.PublishAllPorts,
      'port publishing and the container type network mode',
    ],
    [Object.keys(create.ExposedPorts ?? {}).length, 'port exposing and the container type network mode'],
  ];
  const found = conflicts.find(([is]) => is);
  if (found) throw new EngineError('invalid-argument', `conflicting options: ${found[1]}`);
}

/** What a client may say of an endpoint; the rest of the settings is the engine's. */
export function newAttachment(settings: EndpointSettings | undefined): NetworkAttachment {
  return {
    networkID: settings?.NetworkID ?? '',
    config: {
      IPAMConfig: settings?.IPAMConfig ?? null,
      Links: settings?.Links ?? null,
      Aliases: settings?.Aliases ?? null,
      MacAddress: settings?.MacAddress ?? '',
      DriverOpts: settings?.DriverOpts ?? null,
      GwPriority: settings?.GwPriority ?? 0,
    },
    dnsNames: null,
  };
}

/** @throws `invalid-argument` with every fault, in dockerd's words. */
export function refuseFaults(network: NetworkInfo, config: EndpointSettings, prefix: string): void {
  if (config.MacAddress && network.name !== 'host' && network.name !== 'none' && !isMacAddress(config.MacAddress)) {
    throw new EngineError('invalid-argument', `${prefix}invalid MAC address ${config.MacAddress}`);
  }
  const faults = endpointFaults(network, config);
  if (faults.length === 0) return;
  const list = faults.length === 1 ? faults[0] : faults.map((fault) => `* ${fault}`).join('\n');
  throw new EngineError('invalid-argument', `${prefix}invalid endpoint settings:\n${list}`);
}

const isMacAddress = (text: string) => /^[0-9a-f]{2}([:-])[0-9a-f]{2}(?:\1[0-9a-f]{2}){4}$/i.test(text);

function endpointFaults(network: NetworkInfo, config: EndpointSettings): string[] {
  const { IPv4Address = '', IPv6Address = '' } = config.IPAMConfig ?? {};
  const isUsers = !network.predefined;
  const faults: string[] = [];
  if (!isUsers && (IPv4Address !== '' || IPv6Address !== '')) {
    faults.push('user specified IP address is supported on user defined networks only');
  }
  if (!isUsers && config.Aliases?.length) {
    faults.push('network-scoped alias is supported only for containers in user defined networks');
  }
  return [
    ...faults,
    ...addressFaults(IPv4Address, 4),
    ...addressFaults(IPv6Address, 6),
    ...linkLocalFaults(config),
    ...rangeFaults(network, IPv4Address),
    ...rangeFaults(network.ipv6, IPv6Address),
    ...sysctlFaults(config),
  ];
}

function addressFaults(wanted: string, family: Family): string[] {
  return wanted === '' || isIP(wanted) === family ? [] : [`invalid IPv${family} address: ${wanted}`];
}

function rangeFaults(pool: PoolInfo | undefined, wanted: string): string[] {
  if (wanted === '') return [];
  if (!pool?.ownSubnet) {
    return ['user specified IP address is supported only when connecting to networks with user configured subnets'];
  }
  if ([pool.subnet ?? '', ...(pool.moreSubnets ?? [])].some((subnet) => isAddressIn(subnet, wanted))) return [];
  return [`no configured subnet or ip-range contain the IP address ${wanted}`];
}

/** The networks in the order they are connected: that of `NetworkMode` first, then by name, as dockerd. */
export function inOrder(container: Container): [string, NetworkAttachment][] {
  const { networks, hostConfig } = container.body;
  const isOwn = ([name, { networkID }]: [string, NetworkAttachment]) =>
    name === hostConfig.NetworkMode || networkID === hostConfig.NetworkMode;
  return Object.entries(networks).sort((a, b) => Number(isOwn(b)) - Number(isOwn(a)) || (a[0] < b[0] ? -1 : 1));
}

/** Names that containers of a user's network know it by, as dockerd builds them. */
export function dnsNames(container: Container, { Aliases }: EndpointSettings): readonly string[] {
  const { Hostname } = container.body.config;
  const names = [container.name, ...(Aliases ?? []), container.id.slice(0, 12), ...(Hostname ? [Hostname] : [])];
  return [...new Set(names)];
}

/** For networks with names. `undefined` on the default bridge, which has none. */
export async function resolvingOf(
  ctx: EngineContext,
  container: Container,
  network: NetworkInfo,
  config: EndpointSettings,
): Promise<Resolving | undefined> {
  if (network.predefined) return undefined;
  return {
    names: dnsNames(container, config),
    links: Object.fromEntries((config.Links ?? []).map((link) => linkOf(ctx, link))),
    servers: await nameServers(ctx, container),
  };
}

/** `container:alias`: what the alias stands for is the container's name. One that is not there is found by what it is called here when it comes. */
function linkOf(ctx: EngineContext, link: string): [alias: string, name: string] {
  const at = link.indexOf(':');
  const reference = at < 0 ? link : link.slice(0, at);
  const name = containerName(ctx, reference);
  return [at < 0 ? name : link.slice(at + 1), name];
}

function containerName(ctx: EngineContext, reference: string): string {
  try {
    return ctx.containers.resolve(reference).name;
  } catch (error) {
    if (isKind(error, 'not-found')) return reference;
    throw error;
  }
}
