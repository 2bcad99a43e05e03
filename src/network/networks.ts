import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { KeyedLock, Semaphore } from '#concurrency';
import { EngineError } from '#errdefs';
import { log } from '#log';
import { overlap, parseCidr, type Subnet } from './address.ts';
import { BridgeNetwork, type BridgeParts } from './bridge-network.ts';
import type { ContainerNetwork } from './container-network.ts';
import { ContainerNetworks } from './container-networks.ts';
import { Firewall } from './firewall/firewall.ts';
import { NamespaceHelper } from './helper.ts';
import type { AddressUse } from './ipam.ts';
import { LinkRemover } from './links.ts';
import { networkID, ownerName } from './names.ts';
import { Namespaces } from './namespaces.ts';
import { ParentNetwork } from './parent-network.ts';
import { refuseBridgeInUse, refuseParentInUse } from './parents-in-use.ts';
import { defaultPlan, parentPlan, userPlan } from './plans.ts';
import { PortPublisher } from './ports/publisher.ts';
import { strayLinks } from './stray-links.ts';
import type {
  BridgeOptions,
  ConnectOptions,
  Endpoint,
  LinkedContainer,
  NetworkInfo,
  NetworkNamespace,
  NetworkSpec,
  Networks,
  UserNamespace,
} from './types.ts';

/** The networks of one daemon. Touches nothing before `start`. */
export function openNetworks(options: BridgeOptions): Networks {
  return new LocalNetworks(options);
}

class LocalNetworks implements Networks {
  readonly #options: BridgeOptions;
  readonly #helper = new NamespaceHelper();
  readonly #parts: BridgeParts;
  readonly #namespaces: Namespaces;
  readonly #containers: ContainerNetworks;
  readonly #host: NetworkInfo;
  readonly #none: NetworkInfo;
  /** In the order they were made, the default bridge first. */
  readonly #networks = new Map<string, ContainerNetwork>();
  /** One change at a time for a container. */
  readonly #lock = new KeyedLock();
  /** One network at a time is made, so that two do not choose one subnet. */
  readonly #making = new Semaphore(1);

  constructor(options: BridgeOptions) {
    this.#options = options;
    this.#namespaces = new Namespaces(this.#helper, {
      network: join(options.runRoot, 'netns'),
      user: join(options.runRoot, 'userns'),
    });
    this.#containers = new ContainerNetworks(this.#helper);
    this.#parts = {
      helper: this.#helper,
      remover: new LinkRemover(),
      publisher: new PortPublisher({ 4: options.firewall, 6: options.firewall6 ?? true }, options.carriesPorts ?? true),
      firewall: firewallOf(options, this.#helper),
    };
    // `--bridge=none` is dockerd's way to have no default bridge.
    if (options.bridgeName !== 'none') this.#take(new BridgeNetwork(defaultPlan(options), this.#parts));
    const predefined = (name: string, driver: 'host' | 'null') =>
      ({ id: networkID(options.instance, name), name, driver, createdAt: new Date(), predefined: true }) as const;
    this.#host = predefined('host', 'host');
    this.#none = predefined('none', 'null');
  }

  async start(known: readonly NetworkSpec[] = []): Promise<void> {
    await this.#namespaces.start();
    for (const spec of known) {
      if (!this.#networks.has(spec.id)) this.#take(this.#networkOf(spec));
    }
    const reserved = known.flatMap(wantedSubnets);
    for (const network of this.#networks.values()) {
      try {
        await network.start(reserved);
      } catch (error) {
        if (network.info.predefined) throw error;
        log.error('a network could not be started', { network: network.info.name, error });
      }
    }
    await this.#parts.firewall?.apply();
  }

  list(): readonly NetworkInfo[] {
    return [...[...this.#networks.values()].map(({ info }) => info), this.#host, this.#none];
  }

  addressUse(networkID: string): ReadonlyMap<string, AddressUse> {
    return this.#networks.get(networkID)?.addressUse ?? new Map();
  }

  async add(spec: NetworkSpec): Promise<NetworkInfo> {
    using _held = await this.#making.acquire();
    const reserved = this.#subnets();
    const wanted = wantedSubnets(spec);
    for (const [at, subnet] of wanted.entries()) refuseOverlap(subnet, [...reserved, ...wanted.slice(0, at)]);
    if (spec.stacked) refuseParentInUse(spec.stacked, this.#networks.values());
    refuseBridgeInUse(spec, this.#networks.values());
    const network = this.#networkOf(spec);
    try {
      await network.start(reserved);
      await this.#parts.firewall?.apply();
    } catch (error) {
      await network.teardown();
      throw error;
    }
    this.#take(network);
    return network.info;
  }

  async remove(networkID: string): Promise<void> {
    using _held = await this.#making.acquire();
    const network = this.#networks.get(networkID);
    if (!network) return;
    await network.teardown();
    this.#networks.delete(networkID);
  }

  async createNamespace(containerID: string, owner?: UserNamespace): Promise<NetworkNamespace> {
    using _held = await this.#lock.acquire(containerID);
    return await this.#namespaces.create(containerID, owner);
  }

  namespacePath(containerID: string): string {
    return this.#namespaces.pathOf(containerID);
  }

  userNamespacePath(networkNamespace: string): string {
    return this.#namespaces.userPathOf(networkNamespace);
  }

  async removeNamespace(containerID: string): Promise<void> {
    using _held = await this.#lock.acquire(containerID);
    await this.#containers.forget(containerID);
    await this.#namespaces.remove(containerID);
  }

  async connect(containerID: string, options: ConnectOptions): Promise<Endpoint> {
    using _held = await this.#lock.acquire(containerID);
    const namespacePath = this.#namespaces.pathOf(containerID);
    const network = this.#networks.get(options.networkID);
    if (network) return await this.#containers.connect(containerID, namespacePath, network, options);
    if (options.networkID === this.#host.id || options.networkID === this.#none.id)
      return bareEndpoint(options.networkID);
    throw new EngineError('not-found', `network ${options.networkID} not found`);
  }

  async disconnect(containerID: string, networkID: string, options: { live?: boolean } = {}): Promise<void> {
    using _held = await this.#lock.acquire(containerID);
    const network = this.#networks.get(networkID);
    if (!network) return;
    await this.#containers.disconnect(
      containerID,
      this.#namespaces.pathOf(containerID),
      network,
      options.live ?? false,
    );
    // A link that is still going away would be in the way of the next one of its name inside.
    if (options.live) await this.#parts.remover.settled();
  }

  async publish(
    containerID: string,
    networkID: string,
    options: Pick<ConnectOptions, 'name' | 'ports'>,
  ): Promise<Endpoint> {
    using _held = await this.#lock.acquire(containerID);
    const network = this.#networks.get(networkID);
    if (!network) throw new EngineError('not-found', `network ${networkID} not found`);
    return await this.#containers.publish(containerID, network, options);
  }

  async setLinks(containerID: string, networkID: string, links: readonly LinkedContainer[]): Promise<void> {
    using _held = await this.#lock.acquire(containerID);
    const network = this.#networks.get(networkID);
    if (network instanceof BridgeNetwork) await network.setLinks(containerID, links);
  }

  async adopt(
    containerID: string,
    endpoint: Endpoint,
    options: Pick<ConnectOptions, 'gatewayPriority' | 'resolving'> = {},
  ): Promise<void> {
    using _held = await this.#lock.acquire(containerID);
    const network = this.#networks.get(endpoint.networkID);
    if (!network) return;
    await this.#containers.adopt(containerID, this.#namespaces.pathOf(containerID), network, { ...options, endpoint });
  }

  async recover(keep: ReadonlySet<string>): Promise<void> {
    for (const containerID of await this.#namespaces.list()) {
      if (!keep.has(containerID)) await this.#namespaces.remove(containerID);
    }
    const unknown = this.#unknown(keep);
    for (const network of this.#started()) await network.recover(unknown);
    for (const name of await this.#strayLinks()) await this.#parts.remover.remove(name);
    await this.#containers.restoreRoutes((containerID) => this.#namespaces.pathOf(containerID));
    await this.#parts.firewall?.reconcile();
  }

  async *verify(keep: ReadonlySet<string>): AsyncGenerator<string> {
    for (const containerID of await this.#namespaces.list()) {
      if (!keep.has(containerID)) yield `network namespace ${containerID} belongs to no container`;
    }
    await this.#parts.remover.settled();
    const unknown = this.#unknown(keep);
    for (const network of this.#networks.values()) {
      if (network.isStarted) yield* network.verify(keep, unknown);
      else yield `network ${network.info.name}: it could not be started`;
    }
    for (const name of await this.#strayLinks()) yield `link ${name} belongs to no network`;
    if (this.#parts.firewall) yield* this.#parts.firewall.verify();
  }

  async teardown(): Promise<void> {
    for (const network of this.#networks.values()) await network.teardown();
    for (const containerID of await this.#namespaces.list()) {
      await this.#containers.forget(containerID);
      await this.#namespaces.remove(containerID);
    }
    await this.#parts.firewall?.teardown();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#containers[Symbol.asyncDispose]();
    await this.#parts.remover[Symbol.asyncDispose]();
    await this.#parts.firewall?.[Symbol.asyncDispose]();
    for (const network of this.#networks.values()) await network.dispose();
    await this.#helper[Symbol.asyncDispose]();
  }

  /** Running containers that could not be adopted: what they have is theirs as long as they run. */
  #unknown(keep: ReadonlySet<string>): ReadonlySet<string> {
    return new Set([...keep].filter((containerID) => !this.#containers.knows(containerID)));
  }

  #take(network: ContainerNetwork): void {
    this.#networks.set(network.id, network);
  }

  #networkOf(spec: NetworkSpec): ContainerNetwork {
    const plan = parentPlan(this.#options, spec);
    if (!plan) return new BridgeNetwork(userPlan(this.#options, spec), this.#parts);
    const isShared = (link: string, networkID: string) =>
      [...this.#networks.values()].some(
        (other) => other instanceof ParentNetwork && other.id !== networkID && other.parent === link,
      );
    return new ParentNetwork(plan, {
      helper: this.#helper,
      remover: this.#parts.remover,
      owner: ownerName(this.#options.instance),
      namespacePath: (containerID) => this.#namespaces.pathOf(containerID),
      isShared,
    });
  }

  #started(): ContainerNetwork[] {
    return [...this.#networks.values()].filter(({ isStarted }) => isStarted);
  }

  #subnets(): Subnet[] {
    return [...this.#networks.values()].flatMap(({ subnets }) => subnets);
  }

  #strayLinks(): Promise<readonly string[]> {
    const linkOf = (network: ContainerNetwork) =>
      network instanceof ParentNetwork ? network.parent : network.info.bridgeName;
    const known = new Set(this.#started().map((network) => linkOf(network) ?? ''));
    return strayLinks(this.#helper, ownerName(this.#options.instance), known);
  }
}

function firewallOf({ firewall, firewall6 = true, instance }: BridgeOptions, helper: NamespaceHelper) {
  const filtered = { 4: firewall, 6: firewall6 };
  return firewall || firewall6 ? new Firewall(helper, ownerName(instance), filtered) : undefined;
}

/** The subnets a user chose. */
function wantedSubnets({ subnet, ipv6, more = [] }: NetworkSpec): Subnet[] {
  return [subnet, ipv6?.subnet, ...more.map((pool) => pool.subnet)].flatMap((text) =>
    text === undefined ? [] : [parseCidr(text).subnet],
  );
}

function refuseOverlap(wanted: Subnet, others: readonly Subnet[]): void {
  if (others.some((other) => overlap(wanted, other))) {
    throw new EngineError(
      'permission-denied',
      'invalid pool request: Pool overlaps with other one on this address space',
    );
  }
}

/** On `host` and `none` a container has an endpoint with an ID and nothing else. */
function bareEndpoint(networkID: string): Endpoint {
  return {
    networkID,
    endpointID: randomBytes(32).toString('hex'),
    ipAddress: '',
    prefixLength: 0,
    gateway: '',
    macAddress: '',
    ports: [],
    hostLink: '',
    linkInside: '',
  };
}
