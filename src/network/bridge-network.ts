import { randomBytes } from 'node:crypto';
import { cleanup } from '#concurrency';
import { EngineError, messageOf } from '#errdefs';
import { log } from '#log';
import { type Address, addressText, checkMac, type Family, type Subnet } from './address.ts';
import { type Bridge, ensureBridge, listHostLinks, type Place } from './bridge.ts';
import { type BridgePlan, bridgeInfo } from './bridge-plan.ts';
import type { ContainerNetwork } from './container-network.ts';
import { NetworkNames } from './dns/names.ts';
import { EndpointAddresses, placesOf } from './endpoint-addresses.ts';
import type { Firewall } from './firewall/firewall.ts';
import { directElements, portElements } from './firewall/port-elements.ts';
import { type NamespaceHelper, NetworkError } from './helper.ts';
import type { AddressUse } from './ipam.ts';
import { type LinkWishes, linkLocalAddresses } from './link-wishes.ts';
import { LinkedPorts } from './linked-ports.ts';
import { type LinkRemover, plugProgram, strayLinks, type WaysOut } from './links.ts';
import { linkPrefix, newLinkName } from './names.ts';
import { type MapElement, setHairpin } from './netlink/index.ts';
import type { PortPublisher, PortTargets, PublishedPorts } from './ports/publisher.ts';
import { Program } from './program.ts';
import type { ConnectOptions, Endpoint, LinkedContainer, NetworkInfo } from './types.ts';

/** What all bridges of a daemon share. */
export interface BridgeParts {
  readonly helper: NamespaceHelper;
  readonly remover: LinkRemover;
  readonly publisher: PortPublisher;
  readonly firewall: Firewall | undefined;
}

/** Where a container is plugged in. */
export interface Socket {
  readonly namespacePath: string;
  readonly linkInside: string;
  readonly waysOut: WaysOut;
  readonly wishes: LinkWishes;
}

/** What a connected (or connecting) container holds. */
interface Holding {
  readonly endpoint: Endpoint;
  /** Those that were ours to reserve. */
  readonly addresses: readonly Address[];
  readonly elements: readonly MapElement[];
  readonly ports: PublishedPorts | undefined;
}

/** One bridge and everything on it. */
export class BridgeNetwork implements ContainerNetwork {
  readonly names = new NetworkNames();
  readonly #plan: BridgePlan;
  readonly #parts: BridgeParts;
  /** From before its link is made, so that nobody takes it for a stray. */
  readonly #held = new Map<string, Holding>();
  #bridge: Bridge | undefined;
  readonly #addresses: EndpointAddresses;
  /** Where containers may not speak to each other. */
  readonly #linked: LinkedPorts | undefined;

  constructor(plan: BridgePlan, parts: BridgeParts) {
    this.#plan = plan;
    this.#parts = parts;
    this.#addresses = new EndpointAddresses(plan.name);
    if (!plan.icc && plan.predefined && parts.firewall) this.#linked = new LinkedPorts(parts.firewall);
  }

  /**
   * Makes the bridge, or takes it over; the firewall is told, and applied by the caller. Idempotent: called again it restores what others took away,
   * with the subnet it had. `reserved`: subnets of our other networks.
   */
  async start(reserved: readonly Subnet[]): Promise<void> {
    const { wish, pools } = this.#plan;
    const places = pools.map((pool) => ({
      ...pool,
      bare: pool.mode === 'isolated' || (pool.inhibited ?? false),
      hasGateway: pool.mode !== 'isolated',
      ...this.#had(pool.family),
    }));
    const bridge = await ensureBridge(this.#parts.helper, {
      ...wish,
      places,
      reserved,
      betweenPorts: this.#linked !== undefined,
    });
    this.#bridge = bridge;
    for (const place of bridge.places) this.#open(bridge, place);
  }

  #had(family: Family): { address: string } | undefined {
    const place = this.#bridge?.own ? this.#placeOf(family) : undefined;
    return place && { address: `${addressText(place.gateway ?? place.subnet.base)}/${place.subnet.prefixLength}` };
  }

  #open({ name }: Bridge, place: Place): void {
    const { internal, icc, pools, direct } = this.#plan;
    const pool = pools.find(({ family }) => family === place.family)!;
    const { mode, masquerade, hostAddress } = pool;
    this.#addresses.open(place, pool);
    this.#parts.firewall?.addZone({
      bridge: name,
      subnet: place.subnet,
      internal,
      mode,
      icc,
      ...(direct ? { direct } : {}),
      masquerade,
      ...(hostAddress ? { hostAddress } : {}),
    });
  }

  #placeOf(family: Family): Place | undefined {
    return this.#bridge?.places.find((place) => place.family === family);
  }

  get id(): string {
    return this.#plan.id;
  }

  get isStarted(): boolean {
    return this.#bridge !== undefined;
  }

  get subnets(): readonly Subnet[] {
    return this.#bridge?.places.map(({ subnet }) => subnet) ?? [];
  }

  /** Whether it may be the way out of a container in this family. */
  leadsOut(family: Family): boolean {
    return !this.#plan.internal && this.#plan.pools.some((pool) => pool.family === family);
  }

  get addressUse(): ReadonlyMap<string, AddressUse> {
    return this.#addresses.use;
  }

  get info(): NetworkInfo {
    return bridgeInfo(this.#plan, this.#bridge);
  }

  /** Address, ports, then link, rules and routes in one exchange. Nothing is left when it fails. */
  async connect(containerID: string, socket: Socket, options: ConnectOptions): Promise<Endpoint> {
    if (this.#held.has(containerID)) {
      throw new EngineError(
        'permission-denied',
        `endpoint with name ${options.name ?? containerID} already exists in network ${this.#plan.name}`,
      );
    }
    const holding = await this.#hold(containerID, socket, options);
    this.#held.set(containerID, holding);
    try {
      await this.#plug(holding, socket);
    } catch (error) {
      await cleanup(`network endpoint of ${containerID}`, () => this.#letGo(containerID, holding));
      throw error;
    }
    const { firewall, remover } = this.#parts;
    if (firewall) {
      remover.inBackground(firewall.recheck());
      remover.forgetFlows(holding.endpoint);
    }
    this.#addNames(holding.endpoint, options.resolving?.names ?? []);
    await this.#settleLinks();
    return holding.endpoint;
  }

  async setLinks(containerID: string, links: readonly LinkedContainer[]): Promise<void> {
    this.#linked?.set(containerID, links);
    await this.#settleLinks();
  }

  async #settleLinks(): Promise<void> {
    await this.#linked?.settle((containerID) => this.#held.get(containerID)?.endpoint.ipAddress);
  }

  /** The link goes in the background; its address is given to nobody before that. */
  async disconnect(containerID: string): Promise<void> {
    const holding = this.#held.get(containerID);
    if (!holding) return;
    await this.#letGo(containerID, holding);
    if (this.#parts.firewall) this.#parts.remover.forgetFlows(holding.endpoint);
  }

  /** Publishes these ports of a connected container and no others. What it published stays when that fails. */
  async publish(containerID: string, options: Pick<ConnectOptions, 'name' | 'ports'>): Promise<Endpoint> {
    const holding = this.#held.get(containerID);
    if (!holding) throw new EngineError('not-found', `container ${containerID} is not on network ${this.#plan.name}`);
    const ports = await this.#publish(holding.endpoint, containerID, options);
    const endpoint = { ...holding.endpoint, ports: ports?.bindings ?? [] };
    const elements = this.#elementsOf(containerID, endpoint);
    const { firewall, helper } = this.#parts;
    try {
      const program = new Program();
      if (endpoint.ports.length > 0) program.send('set hairpin mode', setHairpin(endpoint.hostLink));
      await helper.run(firewall ? firewall.addTo(program, elements) : program);
    } catch (error) {
      await firewall?.remove(elements);
      await ports?.[Symbol.asyncDispose]();
      throw error;
    }
    this.#held.set(containerID, { ...holding, endpoint, ports, elements });
    await firewall?.remove(holding.elements);
    await holding.ports?.[Symbol.asyncDispose]();
    return endpoint;
  }

  /** Takes over what an earlier daemon connected: the address, the ports' sockets and their rules. */
  async adopt(containerID: string, endpoint: Endpoint, names: readonly string[]): Promise<void> {
    if (this.#held.has(containerID)) return;
    this.#started();
    const addresses = this.#addresses.takeAgain(containerID, endpoint);
    let ports: PublishedPorts | undefined;
    try {
      ports = await this.#parts.publisher.publish(this.#targets(endpoint), endpoint.ports);
    } catch (error) {
      log.warn('host ports of an adopted container are taken by others', { containerID, error });
    }
    const elements = this.#elementsOf(containerID, endpoint);
    this.#parts.firewall?.expect(elements);
    this.#held.set(containerID, { endpoint, addresses, ports, elements });
    this.#addNames(endpoint, names);
  }

  /** Removes links that no endpoint and no container in `unknown` accounts for. */
  async recover(unknown: ReadonlySet<string>): Promise<void> {
    for (const name of await this.#strayLinks(unknown)) await this.#parts.remover.remove(name);
  }

  /** `keep`: the containers that run; `unknown`: those of them that could not be adopted. */
  async *verify(keep: ReadonlySet<string>, unknown: ReadonlySet<string>): AsyncGenerator<string> {
    const bridge = this.#started();
    const where = `network ${this.#plan.name}`;
    const links = await listHostLinks(this.#parts.helper);
    if (!links.some(({ name }) => name === bridge.name)) yield `${where}: link ${bridge.name} is missing`;
    for (const name of await this.#strayLinks(unknown)) yield `${where}: link ${name} belongs to no container`;
    for (const [containerID, { endpoint }] of this.#held) {
      if (!keep.has(containerID)) yield `${where}: endpoint of ${containerID} belongs to no container`;
      else if (!links.some(({ name }) => name === endpoint.hostLink)) {
        yield `${where}: link ${endpoint.hostLink} of ${containerID} is missing`;
      }
    }
  }

  /** Takes the bridge away and what is on it. Nothing to do before a start. */
  async teardown(): Promise<void> {
    const { remover, firewall } = this.#parts;
    for (const containerID of [...this.#held.keys()]) await this.disconnect(containerID);
    await remover.settled();
    const bridge = this.#bridge;
    if (!bridge) return;
    for (const name of await this.#strayLinks(new Set())) await remover.remove(name);
    await firewall?.removeZones(bridge.name);
    if (bridge.own) await remover.remove(bridge.name);
    this.#bridge = undefined;
    this.#addresses.clear();
  }

  /** Lets go of sockets; what containers use stays. */
  async dispose(): Promise<void> {
    for (const { ports } of this.#held.values()) await ports?.[Symbol.asyncDispose]();
    this.#held.clear();
  }

  #started(): Bridge {
    if (this.#bridge) return this.#bridge;
    throw new EngineError('failed-precondition', `network ${this.#plan.name} could not be started on this machine`);
  }

  async #hold(containerID: string, { linkInside, wishes }: Socket, options: ConnectOptions): Promise<Holding> {
    this.#started();
    linkLocalAddresses(wishes);
    const chosenMac = options.macAddress ? checkMac(options.macAddress) : undefined;
    const { addresses, shown, macAddress } = this.#addresses.take(options, !this.#plan.internal);
    try {
      const bare: Endpoint = {
        networkID: this.id,
        endpointID: randomBytes(32).toString('hex'),
        ...shown,
        macAddress: chosenMac ?? macAddress,
        ports: [],
        hostLink: newLinkName(this.id, containerID),
        linkInside,
      };
      const ports = await this.#publish(bare, containerID, options);
      const endpoint = { ...bare, ports: ports?.bindings ?? [] };
      return { endpoint, addresses, ports, elements: this.#elementsOf(containerID, endpoint) };
    } catch (error) {
      this.#addresses.giveBack(addresses);
      throw error;
    }
  }

  #addNames(endpoint: Endpoint, names: readonly string[]): void {
    for (const [, { ipAddress }] of placesOf(endpoint)) this.names.add(ipAddress, names);
  }

  /** Where ports lead to in each family. */
  #targets(endpoint: Endpoint): PortTargets {
    const isRouted = (family: Family) => this.#plan.pools.find((pool) => pool.family === family)?.mode === 'routed';
    return Object.fromEntries(
      placesOf(endpoint).map(([family, { ipAddress }]) => [family, { address: ipAddress, routed: isRouted(family) }]),
    );
  }

  async #letGo(containerID: string, { endpoint, addresses, elements, ports }: Holding): Promise<void> {
    const { firewall, remover } = this.#parts;
    this.#held.delete(containerID);
    for (const [, { ipAddress }] of placesOf(endpoint)) this.names.remove(ipAddress);
    try {
      await this.#settleLinks();
      await firewall?.remove(elements);
    } finally {
      const unplugged = remover.remove(endpoint.hostLink).then(() => this.#addresses.giveBack(addresses));
      remover.inBackground(unplugged);
      await ports?.[Symbol.asyncDispose]();
    }
  }

  async #publish(
    at: Endpoint,
    containerID: string,
    { ports, name }: Pick<ConnectOptions, 'name' | 'ports'>,
  ): Promise<PublishedPorts | undefined> {
    // An internal network publishes nothing, as dockerd's.
    if (ports.length === 0 || this.#plan.internal) return undefined;
    const wanted = ports.map((port) => ({ ...port, hostIP: port.hostIP || this.#plan.hostBindingIP }));
    try {
      return await this.#parts.publisher.publish(this.#targets(at), wanted);
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      const endpoint = `${name ?? containerID.slice(0, 12)} (${at.endpointID})`;
      throw new EngineError(
        error.kind,
        `driver failed programming external connectivity on endpoint ${endpoint}: ${messageOf(error)}`,
        { cause: error },
      );
    }
  }

  async #plug(holding: Holding, socket: Socket): Promise<void> {
    try {
      await this.#tryPlug(holding, socket);
    } catch (error) {
      if (!(error instanceof NetworkError) || !(await this.#isDamaged())) throw error;
      log.warn('the network was changed by others: restoring it', { error });
      await this.#parts.remover.remove(holding.endpoint.hostLink);
      await this.start([]);
      await this.#parts.firewall?.restore();
      await this.#tryPlug(holding, socket);
    }
  }

  async #tryPlug({ endpoint, elements }: Holding, { namespacePath, waysOut, wishes }: Socket): Promise<void> {
    const bridge = this.#started();
    const { helper, firewall } = this.#parts;
    const between = (program: Parameters<Firewall['addTo']>[0]) => void firewall?.addTo(program, elements);
    const isolated = !this.#plan.icc;
    const mtu = this.#plan.wish.mtu;
    await helper.run(plugProgram({ endpoint, bridge, mtu, namespacePath, waysOut, wishes, isolated, between }));
  }

  /** Somebody took the table or the bridge away. */
  async #isDamaged(): Promise<boolean> {
    const bridge = this.#started();
    if (await this.#parts.firewall?.isLost()) return true;
    const links = await listHostLinks(this.#parts.helper);
    return !links.some(({ name, index }) => name === bridge.name && index === bridge.index);
  }

  #elementsOf(containerID: string, endpoint: Endpoint): readonly MapElement[] {
    if (!this.#parts.firewall) return [];
    const elements = portElements(containerID, endpoint, endpoint.ports);
    return this.#plan.direct ? [...elements, ...directElements(containerID, endpoint, endpoint.ports)] : elements;
  }

  #strayLinks(unknown: ReadonlySet<string>): Promise<readonly string[]> {
    const known = new Set([...this.#held.values()].map(({ endpoint }) => endpoint.hostLink));
    const prefixes = [...unknown].map((containerID) => linkPrefix(this.id, containerID));
    return strayLinks(this.#parts.helper, this.#started(), known, prefixes);
  }
}
