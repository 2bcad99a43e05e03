import { randomBytes } from 'node:crypto';
import { cleanup } from '#concurrency';
import { EngineError, messageOf } from '#errdefs';
import { log } from '#log';
import {
  type Address,
  addressText,
  checkMac,
  macOf,
  parseAddress,
  parseCidr,
  type Subnet,
  subnetText,
} from './address.ts';
import { type Bridge, type BridgeWish, ensureBridge, listHostLinks } from './bridge.ts';
import { NetworkNames } from './dns/names.ts';
import type { Firewall } from './firewall/firewall.ts';
import { portElements } from './firewall/port-elements.ts';
import { type NamespaceHelper, NetworkError } from './helper.ts';
import { Addresses } from './ipam.ts';
import { type LinkRemover, plugProgram, strayLinks } from './links.ts';
import { linkPrefix, newLinkName } from './names.ts';
import { type MapElement, setHairpin } from './netlink/index.ts';
import type { PortPublisher, PublishedPorts } from './ports/publisher.ts';
import { Program } from './program.ts';
import type { ConnectOptions, Endpoint, NetworkInfo } from './types.ts';

/** What all bridges of a daemon share. */
export interface BridgeParts {
  readonly helper: NamespaceHelper;
  readonly remover: LinkRemover;
  readonly publisher: PortPublisher;
  readonly firewall: Firewall | undefined;
}

/** How one bridge network is meant to be. */
export interface BridgePlan {
  readonly id: string;
  readonly name: string;
  readonly createdAt: Date;
  readonly predefined: boolean;
  readonly wish: Omit<BridgeWish, 'reserved'>;
  readonly ipRange?: string;
  readonly auxiliary: readonly string[];
  readonly internal: boolean;
  readonly icc: boolean;
  readonly masquerade: boolean;
  readonly hostBindingIP: string;
}

/** Where a container is plugged in. */
export interface Socket {
  readonly namespacePath: string;
  readonly linkInside: string;
  /** See {@link plugProgram}. */
  readonly defaultRoute: 'first' | 'instead' | undefined;
}

/** What a connected (or connecting) container holds. */
interface Holding {
  readonly endpoint: Endpoint;
  /** Undefined when the address was not ours to reserve. */
  readonly address: Address | undefined;
  readonly elements: readonly MapElement[];
  readonly ports: PublishedPorts | undefined;
}

/** One bridge and everything on it. */
export class BridgeNetwork {
  readonly names = new NetworkNames();
  readonly #plan: BridgePlan;
  readonly #parts: BridgeParts;
  /** From before its link is made, so that nobody takes it for a stray. */
  readonly #held = new Map<string, Holding>();
  #bridge: Bridge | undefined;
  #addresses: Addresses | undefined;

  constructor(plan: BridgePlan, parts: BridgeParts) {
    this.#plan = plan;
    this.#parts = parts;
  }

  /**
   * Makes the bridge, or takes it over; the firewall is told, and applied by the caller. Idempotent: called again it restores what others took away,
   * with the subnet it had. `reserved`: subnets of our other networks.
   */
  async start(reserved: readonly Subnet[]): Promise<void> {
    const { wish, internal, masquerade } = this.#plan;
    const had = this.#bridge?.own ? this.#bridge : undefined;
    const bridge = await ensureBridge(this.#parts.helper, {
      ...wish,
      reserved,
      ...(had && { address: `${addressText(had.gateway)}/${had.subnet.prefixLength}` }),
    });
    this.#bridge = bridge;
    this.#addresses ??= new Addresses(bridge.subnet, {
      gateway: bridge.gateway,
      ...(this.#plan.ipRange ? { range: parseCidr(this.#plan.ipRange).subnet } : {}),
      auxiliary: this.#plan.auxiliary.map(parseAddress),
    });
    this.#parts.firewall?.addZone({ bridge: bridge.name, subnet: bridge.subnet, internal, masquerade });
  }

  get id(): string {
    return this.#plan.id;
  }

  get subnet(): Subnet | undefined {
    return this.#bridge?.subnet;
  }

  get info(): NetworkInfo {
    const bridge = this.#bridge;
    const { id, name, createdAt, predefined, internal, icc, masquerade, hostBindingIP, ipRange, wish } = this.#plan;
    return {
      id,
      name,
      driver: 'bridge',
      createdAt,
      predefined,
      internal,
      icc,
      masquerade,
      hostBindingIP,
      ownSubnet: !predefined && wish.address !== undefined,
      mtu: wish.mtu,
      ...(ipRange === undefined ? {} : { ipRange }),
      ...(bridge && {
        subnet: subnetText(bridge.subnet),
        gateway: addressText(bridge.gateway),
        bridgeName: bridge.name,
      }),
    };
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
    this.names.add(holding.endpoint.ipAddress, options.resolving?.names ?? []);
    return holding.endpoint;
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
    const { ipAddress, endpointID } = holding.endpoint;
    const ports = await this.#publish(ipAddress, endpointID, containerID, options);
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
    const { addresses } = this.#started();
    let address: Address | undefined;
    try {
      address = addresses.reserve(endpoint.ipAddress);
    } catch (error) {
      log.warn('the address of an adopted container is not free in the network', { containerID, error });
    }
    let ports: PublishedPorts | undefined;
    try {
      ports = await this.#parts.publisher.publish(endpoint.ipAddress, endpoint.ports);
    } catch (error) {
      log.warn('host ports of an adopted container are taken by others', { containerID, error });
    }
    const elements = this.#elementsOf(containerID, endpoint);
    this.#parts.firewall?.expect(elements);
    this.#held.set(containerID, { endpoint, address, ports, elements });
    this.names.add(endpoint.ipAddress, names);
  }

  /** Removes links that no endpoint and no container in `unknown` accounts for. */
  async recover(unknown: ReadonlySet<string>): Promise<void> {
    for (const name of await this.#strayLinks(unknown)) await this.#parts.remover.remove(name);
  }

  /** `keep`: the containers that run; `unknown`: those of them that could not be adopted. */
  async *verify(keep: ReadonlySet<string>, unknown: ReadonlySet<string>): AsyncGenerator<string> {
    const { bridge } = this.#started();
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
    await firewall?.removeZone(bridge.name);
    if (bridge.own) await remover.remove(bridge.name);
    this.#bridge = undefined;
    this.#addresses = undefined;
  }

  /** Lets go of sockets; what containers use stays. */
  async dispose(): Promise<void> {
    for (const { ports } of this.#held.values()) await ports?.[Symbol.asyncDispose]();
    this.#held.clear();
  }

  #started(): { bridge: Bridge; addresses: Addresses } {
    if (!this.#bridge || !this.#addresses)
      throw new EngineError('failed-precondition', `network ${this.#plan.name} could not be started on this machine`);
    return { bridge: this.#bridge, addresses: this.#addresses };
  }

  async #hold(containerID: string, { linkInside }: Socket, options: ConnectOptions): Promise<Holding> {
    const { bridge, addresses } = this.#started();
    const macAddress = options.macAddress ? checkMac(options.macAddress) : undefined;
    const address = options.ipAddress ? addresses.reserve(options.ipAddress) : addresses.allocate();
    try {
      const endpointID = randomBytes(32).toString('hex');
      const ipAddress = addressText(address);
      const ports = await this.#publish(ipAddress, endpointID, containerID, options);
      const endpoint: Endpoint = {
        networkID: this.id,
        endpointID,
        ipAddress,
        prefixLength: bridge.subnet.prefixLength,
        gateway: this.#plan.internal ? '' : addressText(bridge.gateway),
        macAddress: macAddress ?? macOf(address),
        ports: ports?.bindings ?? [],
        hostLink: newLinkName(this.id, containerID),
        linkInside,
      };
      return { endpoint, address, ports, elements: this.#elementsOf(containerID, endpoint) };
    } catch (error) {
      addresses.release(address);
      throw error;
    }
  }

  async #letGo(containerID: string, { endpoint, address, elements, ports }: Holding): Promise<void> {
    const addresses = this.#addresses;
    const { firewall, remover } = this.#parts;
    this.#held.delete(containerID);
    this.names.remove(endpoint.ipAddress);
    try {
      await firewall?.remove(elements);
    } finally {
      const unplugged = remover.remove(endpoint.hostLink).then(() => {
        if (address !== undefined) addresses?.release(address);
      });
      remover.inBackground(unplugged);
      await ports?.[Symbol.asyncDispose]();
    }
  }

  async #publish(
    ipAddress: string,
    endpointID: string,
    containerID: string,
    { ports, name }: Pick<ConnectOptions, 'name' | 'ports'>,
  ): Promise<PublishedPorts | undefined> {
    // An internal network publishes nothing, as dockerd's.
    if (ports.length === 0 || this.#plan.internal) return undefined;
    const wanted = ports.map((port) => ({ ...port, hostIP: port.hostIP || this.#plan.hostBindingIP }));
    try {
      return await this.#parts.publisher.publish(ipAddress, wanted);
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      const endpoint = `${name ?? containerID.slice(0, 12)} (${endpointID})`;
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

  async #tryPlug({ endpoint, elements }: Holding, { namespacePath, defaultRoute }: Socket): Promise<void> {
    const { bridge } = this.#started();
    const { helper, firewall } = this.#parts;
    const between = (program: Parameters<Firewall['addTo']>[0]) => void firewall?.addTo(program, elements);
    const isolated = !this.#plan.icc;
    const mtu = this.#plan.wish.mtu;
    await helper.run(plugProgram({ endpoint, bridge, mtu, namespacePath, defaultRoute, isolated, between }));
  }

  /** Somebody took the table or the bridge away. */
  async #isDamaged(): Promise<boolean> {
    const { bridge } = this.#started();
    if (await this.#parts.firewall?.isLost()) return true;
    const links = await listHostLinks(this.#parts.helper);
    return !links.some(({ name, index }) => name === bridge.name && index === bridge.index);
  }

  #elementsOf(containerID: string, endpoint: Endpoint): readonly MapElement[] {
    return this.#parts.firewall ? portElements(containerID, endpoint.ipAddress, endpoint.ports) : [];
  }

  #strayLinks(unknown: ReadonlySet<string>): Promise<readonly string[]> {
    const known = new Set([...this.#held.values()].map(({ endpoint }) => endpoint.hostLink));
    const prefixes = [...unknown].map((containerID) => linkPrefix(this.id, containerID));
    return strayLinks(this.#parts.helper, this.#started().bridge, known, prefixes);
  }
}
