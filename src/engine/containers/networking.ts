import { EngineError, kindOf, messageOf } from '#errdefs';
import type { Endpoint, NetworkInfo, UserNamespace } from '#network';
import type { EngineContext } from '../context.ts';
import { refuseConfiguration } from '../networks/configurations.ts';
import { findNetwork } from '../networks/find.ts';
import { mapText, remapOf } from '../remap/index.ts';
import { addressesOf, writeAccountFiles } from './account-files.ts';
import { dnsNames, inOrder, resolvingOf } from './attachments.ts';
import type { Container } from './container.ts';
import { linkWishes } from './endpoint-options.ts';
import { emitNetwork } from './events.ts';
import { linkedHosts, openLinkedPorts } from './links/index.ts';
import { joinedUserNamespace } from './namespaces.ts';
import { checkModes } from './network-modes.ts';
import { containerPaths } from './paths.ts';
import { boundPorts, sameBindings, wantedPorts } from './ports.ts';
import type { NetworkAttachment } from './record.ts';

/** Where a container's network is: the namespace's path or `host`, and whose hosts, hostname and resolv.conf it sees. */
export interface NetworkPlace {
  readonly namespace: string;
  readonly accountFiles: ReturnType<typeof containerPaths>;
  /** Only when it is another's: that container's. */
  readonly hostname?: string;
}

/**
 * Puts a container on its networks and writes its account files.
 * Nothing is left when it fails, once {@link disconnectNetworks} was called.
 */
export async function connectNetworks(ctx: EngineContext, container: Container): Promise<NetworkPlace> {
  const mode = container.body.hostConfig.NetworkMode ?? 'bridge';
  if (mode.startsWith('container:')) return joinNetwork(ctx, mode.slice('container:'.length));
  const namespace = await ownNamespace(ctx, container, mode);
  const found = inOrder(container).map(([name, attachment]) => ({
    name,
    attachment,
    network: requireNetwork(ctx, name, attachment),
  }));
  try {
    checkModes(
      container,
      found.map(({ network }) => network),
    );
  } catch (error) {
    throw connectError(error);
  }
  const publishing = leadingNetwork(found);
  for (const { name, network, attachment } of found) {
    // It may have been named by its ID, or before it was there.
    if (name !== network.name) setAttachment(container, name, undefined);
    await connectOne(ctx, container, { network, attachment, publishes: network === publishing }).catch(
      (error: unknown) => Promise.reject(connectError(error)),
    );
  }
  const addresses = inOrder(container).flatMap(([, { endpoint }]) => addressesOf(endpoint));
  const linked = linkedHosts(ctx, container);
  await openLinkedPorts(ctx, container);
  await writeAccountFiles(ctx, container, {
    addresses,
    named: found.some(({ network }) => !network.predefined),
    linked,
  });
  return { namespace, accountFiles: containerPaths(ctx, container.id) };
}

async function ownNamespace(ctx: EngineContext, container: Container, mode: string): Promise<string> {
  if (mode === 'host') return 'host';
  const { path } = await ctx.networks.createNamespace(container.id, namespaceOwner(ctx, container));
  container.body = { ...container.body, sandboxPath: path };
  return path;
}

function namespaceOwner(ctx: EngineContext, container: Container): UserNamespace | undefined {
  const mapping = remapOf(ctx, container.body.hostConfig)?.mapping;
  if (!mapping) return undefined;
  const joined = joinedUserNamespace(ctx, container);
  return joined === undefined ? { uidMap: mapText(mapping.uids), gidMap: mapText(mapping.gids) } : { path: joined };
}

/** `--network container:x`: everything of the network is that container's. */
export function joinNetwork(ctx: EngineContext, reference: string): NetworkPlace {
  const owner = networkOwner(ctx, reference);
  const { hostConfig, sandboxPath, config } = owner.body;
  const namespace = hostConfig.NetworkMode === 'host' ? 'host' : (sandboxPath ?? '');
  return { namespace, accountFiles: containerPaths(ctx, owner.id), hostname: config.Hostname ?? '' };
}

/** The running container whose network is joined, through others that join it themselves. @throws in dockerd's words. */
function networkOwner(ctx: EngineContext, reference: string): Container {
  let owner: Container;
  try {
    owner = ctx.containers.resolve(reference);
  } catch (error) {
    throw new EngineError(kindOf(error), `joining network namespace of container: ${messageOf(error)}`, {
      cause: error,
    });
  }
  if (!owner.isUp) {
    const { status } = owner.body.state;
    throw new EngineError(
      'conflict',
      `cannot join network namespace of a non running container: container ${owner.name} is ${status}`,
    );
  }
  const mode = owner.body.hostConfig.NetworkMode ?? '';
  return mode.startsWith('container:') ? networkOwner(ctx, mode.slice('container:'.length)) : owner;
}

interface Connecting {
  readonly network: NetworkInfo;
  readonly attachment: NetworkAttachment;
  readonly publishes: boolean;
}

/** One network of a container; its record is changed. */
export async function connectOne(
  ctx: EngineContext,
  container: Container,
  { network, attachment, publishes }: Connecting,
): Promise<Endpoint> {
  refuseConfiguration(ctx, network);
  const { config } = attachment;
  const { ports, hostConfig } = container.body;
  const resolving = await resolvingOf(ctx, container, network, config);
  const endpoint = await ctx.networks.connect(container.id, {
    networkID: network.id,
    name: container.name,
    ports: publishes ? wantedPorts(hostConfig, Object.keys(ports)) : [],
    ...(config.IPAMConfig?.IPv4Address ? { ipAddress: config.IPAMConfig.IPv4Address } : {}),
    ...(config.IPAMConfig?.IPv6Address ? { ipv6Address: config.IPAMConfig.IPv6Address } : {}),
    ...(config.MacAddress ? { macAddress: config.MacAddress } : {}),
    gatewayPriority: config.GwPriority ?? 0,
    link: linkWishes(config),
    ...(resolving ? { resolving } : {}),
  });
  const names = network.predefined ? null : dnsNames(container, config);
  setAttachment(container, network.name, { ...attachment, networkID: network.id, dnsNames: names, endpoint });
  if (publishes) container.body = { ...container.body, ports: boundPorts(Object.keys(ports), endpoint.ports) };
  return endpoint;
}

export function setAttachment(container: Container, name: string, attachment: NetworkAttachment | undefined): void {
  const { [name]: _before, ...others } = container.body.networks;
  container.body = { ...container.body, networks: attachment ? { ...others, [name]: attachment } : others };
}

/**
 * After a running container's networks changed: ports are published through the network that leads out now, at the host ports they had if they had any, as
 * clients were told those.
 */
export async function movePorts(ctx: EngineContext, container: Container): Promise<void> {
  const { hostConfig, ports } = container.body;
  const exposed = Object.keys(ports);
  const wanted = sameBindings(wantedPorts(hostConfig, exposed), ports);
  if (wanted.length === 0) return;
  const connected = inOrder(container).flatMap(([name, attachment]) => {
    const network = attachment.endpoint && findNetwork(ctx, attachment.endpoint.networkID);
    return network ? [{ name, attachment, network }] : [];
  });
  const publishing = connected.find(({ attachment }) => (attachment.endpoint?.ports.length ?? 0) > 0);
  const leading = leadingNetwork(connected);
  if (leading && publishing?.network.id === leading.id) return;
  const publishThrough = async (network: NetworkInfo, list: typeof wanted) => {
    const endpoint = await ctx.networks.publish(container.id, network.id, { name: container.name, ports: list });
    const { name, attachment } = connected.find((candidate) => candidate.network.id === network.id)!;
    setAttachment(container, name, { ...attachment, endpoint });
    container.body = { ...container.body, ports: boundPorts(exposed, endpoint.ports) };
  };
  if (publishing) await publishThrough(publishing.network, []);
  if (leading) await publishThrough(leading, wanted);
  else container.body = { ...container.body, ports: boundPorts(exposed, []) };
}

/** The network that ports are published through: the one that will lead out, of IPv4's and IPv6's that of IPv4. */
function leadingNetwork(found: readonly { network: NetworkInfo; attachment: NetworkAttachment }[]) {
  const priority = ({ attachment }: (typeof found)[number]) => attachment.config.GwPriority ?? 0;
  const leads = found
    .filter(({ network }) => !network.internal)
    .sort((a, b) => priority(b) - priority(a) || (a.network.name < b.network.name ? -1 : 1))
    .map(({ network }) => network);
  const hasIPv4 = ({ ipv4 }: NetworkInfo) => ipv4 !== false;
  return leads.find((network) => hasIPv4(network) && network.ipv6) ?? leads.find(hasIPv4) ?? leads[0];
}

function requireNetwork(ctx: EngineContext, name: string, { networkID }: NetworkAttachment): NetworkInfo {
  // A network of the same name that was made later is another one.
  const found = findNetwork(ctx, networkID === '' ? name : networkID);
  if (found) return found;
  throw connectError(new EngineError('not-found', `network ${networkID === '' ? name : networkID} not found`));
}

/** dockerd answers a taken port with 500, not 409. */
function connectError(error: unknown): EngineError {
  const kind = kindOf(error);
  return new EngineError(
    kind === 'conflict' ? 'internal' : kind,
    `failed to set up container networking: ${messageOf(error)}`,
    { cause: error },
  );
}

/** Takes a container that has ended off its networks; absent is fine. */
export async function disconnectNetworks(ctx: EngineContext, container: Container): Promise<void> {
  const mode = container.body.hostConfig.NetworkMode ?? '';
  for (const [name, { endpoint, ...rest }] of inOrder(container)) {
    if (!endpoint) continue;
    await ctx.networks.disconnect(container.id, endpoint.networkID);
    setAttachment(container, name, rest);
    emitNetwork(ctx, container, 'disconnect', { id: endpoint.networkID, name });
  }
  const { ports } = container.body;
  container.body = { ...container.body, ports: boundPorts(Object.keys(ports), []) };
  if (mode !== 'host' && !mode.startsWith('container:')) await ctx.networks.removeNamespace(container.id);
}

/** What an earlier daemon connected. */
export async function adoptNetworks(ctx: EngineContext, container: Container): Promise<void> {
  for (const [, { endpoint, config }] of inOrder(container)) {
    const network = endpoint && findNetwork(ctx, endpoint.networkID);
    if (!network) continue;
    const resolving = await resolvingOf(ctx, container, network, config);
    await ctx.networks.adopt(container.id, endpoint, {
      gatewayPriority: config.GwPriority ?? 0,
      ...(resolving ? { resolving } : {}),
    });
  }
  await openLinkedPorts(ctx, container);
}
