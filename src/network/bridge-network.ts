import { randomBytes } from 'node:crypto';
import { cleanup } from '#concurrency';
import { EngineError, messageOf } from '#errdefs';
import { log } from '#log';
import { type Address, addressText, checkMac, macOf, subnetText } from './address.ts';
import { type Bridge, defaultMtu, ensureBridge, listHostLinks } from './bridge.ts';
import { Firewall } from './firewall/firewall.ts';
import { portElements } from './firewall/port-elements.ts';
import { type NamespaceHelper, NetworkError } from './helper.ts';
import { Addresses } from './ipam.ts';
import { LinkRemover, plugProgram, strayLinks } from './links.ts';
import { linkPrefix, networkID, newLinkName, ownerName } from './names.ts';
import type { MapElement } from './netlink/index.ts';
import { PortPublisher, type PublishedPorts } from './ports/publisher.ts';
import type { BridgeOptions, ConnectOptions, Endpoint, NetworkInfo } from './types.ts';

/** What a connected (or connecting) container holds. */
interface Holding {
  readonly endpoint: Endpoint;
  /** Undefined when the address was not ours to reserve. */
  readonly address: Address | undefined;
  readonly elements: readonly MapElement[];
  readonly ports: PublishedPorts | undefined;
}

/** The default bridge and everything on it. */
export class BridgeNetwork {
  readonly #options: BridgeOptions;
  readonly #helper: NamespaceHelper;
  readonly #remover = new LinkRemover();
  /** From before its link is made, so that nobody takes it for a stray. */
  readonly #held = new Map<string, Holding>();
  readonly #publisher = new PortPublisher();
  readonly #id: string;
  readonly #createdAt = new Date();
  #bridge: Bridge | undefined;
  #addresses: Addresses | undefined;
  #firewall: Firewall | undefined;

  constructor(options: BridgeOptions, helper: NamespaceHelper) {
    this.#options = options;
    this.#helper = helper;
    this.#id = networkID(options.instance, 'bridge');
  }

  /** Idempotent: called again it restores what others took away, with the subnet it had. */
  async start(): Promise<void> {
    const had = this.#bridge?.own ? this.#bridge : undefined;
    const bridge = await ensureBridge(this.#helper, {
      ...this.#options,
      ...(had && { bridgeAddress: `${addressText(had.gateway)}/${had.subnet.prefixLength}` }),
    });
    this.#bridge = bridge;
    this.#addresses ??= new Addresses(bridge.subnet, bridge.gateway);
    if (!this.#options.firewall) return;
    this.#firewall ??= new Firewall(this.#helper, {
      owner: ownerName(this.#options.instance),
      bridge: bridge.name,
      subnet: bridge.subnet,
    });
    await this.#firewall.start();
  }

  get info(): NetworkInfo {
    const bridge = this.#bridge;
    return {
      id: this.#id,
      name: 'bridge',
      driver: 'bridge',
      createdAt: this.#createdAt,
      mtu: this.#mtu,
      ...(bridge && {
        subnet: subnetText(bridge.subnet),
        gateway: addressText(bridge.gateway),
        bridgeName: bridge.name,
      }),
    };
  }

  /** Address, ports, then link, rules and routes in one exchange. Nothing is left when it fails. */
  async connect(containerID: string, namespacePath: string, options: ConnectOptions): Promise<Endpoint> {
    if (this.#held.has(containerID)) {
      throw new EngineError(
        'conflict',
        `endpoint with name ${options.name ?? containerID} already exists in network bridge`,
      );
    }
    const holding = await this.#hold(containerID, options);
    this.#held.set(containerID, holding);
    try {
      await this.#plug(holding, namespacePath);
    } catch (error) {
      await cleanup(`network endpoint of ${containerID}`, () => this.#letGo(containerID, holding));
      throw error;
    }
    const firewall = this.#firewall;
    if (firewall) {
      this.#remover.inBackground(firewall.recheck(() => this.#elements()));
      this.#remover.forgetFlows(holding.endpoint);
    }
    return holding.endpoint;
  }

  /** The link goes in the background; its address is given to nobody before that. */
  async disconnect(containerID: string): Promise<void> {
    const holding = this.#held.get(containerID);
    if (!holding) return;
    await this.#letGo(containerID, holding);
    if (this.#firewall) this.#remover.forgetFlows(holding.endpoint);
  }

  /** Takes over what an earlier daemon connected: the address, the ports' sockets and their rules. */
  async adopt(containerID: string, endpoint: Endpoint): Promise<void> {
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
      ports = await this.#publisher.publish(endpoint.ipAddress, endpoint.ports);
    } catch (error) {
      log.warn('host ports of an adopted container are taken by others', { containerID, error });
    }
    this.#held.set(containerID, { endpoint, address, ports, elements: this.#elementsOf(containerID, endpoint) });
  }

  /** Removes links and rules that no adopted endpoint and no container in `keep` accounts for, and puts missing rules back. */
  async recover(keep: ReadonlySet<string>): Promise<void> {
    for (const name of await this.#strayLinks(keep)) await this.#remover.remove(name);
    await this.#firewall?.reconcile(this.#elements());
  }

  async *verify(keep: ReadonlySet<string>): AsyncGenerator<string> {
    await this.#remover.settled();
    const { bridge } = this.#started();
    const links = await listHostLinks(this.#helper);
    if (!links.some(({ name }) => name === bridge.name)) yield `network bridge: link ${bridge.name} is missing`;
    for (const name of await this.#strayLinks(keep)) yield `network bridge: link ${name} belongs to no container`;
    for (const [containerID, { endpoint }] of this.#held) {
      if (!keep.has(containerID)) yield `network bridge: endpoint of ${containerID} belongs to no container`;
      else if (!links.some(({ name }) => name === endpoint.hostLink)) {
        yield `network bridge: link ${endpoint.hostLink} of ${containerID} is missing`;
      }
    }
    if (this.#firewall) yield* this.#firewall.verify(this.#elements());
  }

  /** Nothing to do before a start. */
  async teardown(): Promise<void> {
    for (const containerID of [...this.#held.keys()]) await this.disconnect(containerID);
    await this.#remover.settled();
    const bridge = this.#bridge;
    if (!bridge) return;
    for (const name of await this.#strayLinks(new Set())) await this.#remover.remove(name);
    await this.#firewall?.teardown();
    if (bridge.own) await this.#remover.remove(bridge.name);
    this.#bridge = undefined;
    this.#addresses = undefined;
    this.#firewall = undefined;
  }

  /** Lets go of sockets and helpers; what containers use stays. */
  async dispose(): Promise<void> {
    await this.#remover[Symbol.asyncDispose]();
    for (const { ports } of this.#held.values()) await ports?.[Symbol.asyncDispose]();
    this.#held.clear();
  }

  get #mtu(): number {
    return this.#options.mtu ?? defaultMtu;
  }

  #started(): { bridge: Bridge; addresses: Addresses } {
    if (!this.#bridge || !this.#addresses) throw new Error('networks are used before start');
    return { bridge: this.#bridge, addresses: this.#addresses };
  }

  async #hold(containerID: string, options: ConnectOptions): Promise<Holding> {
    const { bridge, addresses } = this.#started();
    const macAddress = options.macAddress ? checkMac(options.macAddress) : undefined;
    const address = options.ipAddress ? addresses.reserve(options.ipAddress) : addresses.allocate();
    try {
      const endpointID = randomBytes(32).toString('hex');
      const ipAddress = addressText(address);
      const ports = await this.#publish(ipAddress, endpointID, containerID, options);
      const endpoint: Endpoint = {
        networkID: this.#id,
        endpointID,
        ipAddress,
        prefixLength: bridge.subnet.prefixLength,
        gateway: addressText(bridge.gateway),
        macAddress: macAddress ?? macOf(address),
        ports: ports?.bindings ?? [],
        hostLink: newLinkName(this.#id, containerID),
      };
      return { endpoint, address, ports, elements: this.#elementsOf(containerID, endpoint) };
    } catch (error) {
      addresses.release(address);
      throw error;
    }
  }

  async #letGo(containerID: string, { endpoint, address, elements, ports }: Holding): Promise<void> {
    const addresses = this.#addresses;
    this.#held.delete(containerID);
    try {
      await this.#firewall?.remove(elements);
    } finally {
      const unplugged = this.#remover.remove(endpoint.hostLink).then(() => {
        if (address !== undefined) addresses?.release(address);
      });
      this.#remover.inBackground(unplugged);
      await ports?.[Symbol.asyncDispose]();
    }
  }

  async #publish(
    ipAddress: string,
    endpointID: string,
    containerID: string,
    { ports, name }: ConnectOptions,
  ): Promise<PublishedPorts | undefined> {
    if (ports.length === 0) return undefined;
    try {
      return await this.#publisher.publish(ipAddress, ports);
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

  async #plug(holding: Holding, namespacePath: string): Promise<void> {
    try {
      await this.#tryPlug(holding, namespacePath);
    } catch (error) {
      if (!(error instanceof NetworkError) || !(await this.#isDamaged())) throw error;
      log.warn('the network was changed by others: restoring it', { error });
      await this.#remover.remove(holding.endpoint.hostLink);
      await this.start();
      await this.#firewall?.reconcile(this.#elements());
      await this.#tryPlug(holding, namespacePath);
    }
  }

  async #tryPlug({ endpoint, elements }: Holding, namespacePath: string): Promise<void> {
    const { bridge } = this.#started();
    const between = (program: Parameters<Firewall['addTo']>[0]) => void this.#firewall?.addTo(program, elements);
    await this.#helper.run(plugProgram({ endpoint, bridge, mtu: this.#mtu, namespacePath, between }));
  }

  /** Somebody took the table or the bridge away. */
  async #isDamaged(): Promise<boolean> {
    const { bridge } = this.#started();
    if (await this.#firewall?.isLost()) return true;
    const links = await listHostLinks(this.#helper);
    return !links.some(({ name, index }) => name === bridge.name && index === bridge.index);
  }

  #elementsOf(containerID: string, endpoint: Endpoint): readonly MapElement[] {
    return this.#firewall ? portElements(containerID, endpoint.ipAddress, endpoint.ports) : [];
  }

  #elements(): readonly MapElement[] {
    return [...this.#held.values()].flatMap(({ elements }) => elements);
  }

  #strayLinks(keep: ReadonlySet<string>): Promise<readonly string[]> {
    const known = new Set([...this.#held.values()].map(({ endpoint }) => endpoint.hostLink));
    const prefixes = [...keep]
      .filter((containerID) => !this.#held.has(containerID))
      .map((containerID) => linkPrefix(this.#id, containerID));
    return strayLinks(this.#helper, this.#started().bridge, known, prefixes);
  }
}
