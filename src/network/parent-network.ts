import { randomBytes } from 'node:crypto';
import { cleanup } from '#concurrency';
import { EngineError } from '#errdefs';
import { type Address, addressText, checkMac, type Family, parseCidr, type Subnet, subnetText } from './address.ts';
import { type Place, takenSubnets } from './bridge.ts';
import type { Socket } from './bridge-network.ts';
import type { PoolPlan } from './bridge-plan.ts';
import type { ContainerNetwork } from './container-network.ts';
import { NetworkNames } from './dns/names.ts';
import { EndpointAddresses, placesOf } from './endpoint-addresses.ts';
import type { NamespaceHelper } from './helper.ts';
import { type AddressUse, chooseSubnet } from './ipam.ts';
import { linkLocalAddresses } from './link-wishes.ts';
import { type LinkRemover, settleInside } from './links.ts';
import { createStacked, deleteLink, type StackedKind } from './netlink/index.ts';
import { ensureParent, type ParentLink } from './parent-links.ts';
import { Program } from './program.ts';
import type { ConnectOptions, Endpoint, NetworkInfo, PoolInfo } from './types.ts';

/** How a network on a link of the machine is meant to be. */
export interface ParentPlan {
  readonly id: string;
  readonly name: string;
  readonly createdAt: Date;
  readonly kind: StackedKind;
  /** Empty: a dummy of its own. */
  readonly parent: string;
  readonly mtu?: number;
  readonly internal: boolean;
  readonly pools: readonly PoolPlan[];
}

interface Parts {
  readonly helper: NamespaceHelper;
  readonly remover: LinkRemover;
  readonly owner: string;
  readonly namespacePath: (containerID: string) => string;
  /** Another network stands on the same link. */
  readonly isShared: (link: string, networkID: string) => boolean;
}

/**
 * A macvlan or ipvlan network: containers have links of their own on a link of the machine, and with it the network that is on. Nothing is translated or
 * published; the kernel keeps them from the host itself.
 */
export class ParentNetwork implements ContainerNetwork {
  readonly names = new NetworkNames();
  readonly #plan: ParentPlan;
  readonly #parts: Parts;
  readonly #addresses: EndpointAddresses;
  readonly #held = new Map<string, { endpoint: Endpoint; addresses: readonly Address[] }>();
  #parent: ParentLink | undefined;
  #places: readonly Place[] = [];

  constructor(plan: ParentPlan, parts: Parts) {
    this.#plan = plan;
    this.#parts = parts;
    this.#addresses = new EndpointAddresses(plan.name);
  }

  get id(): string {
    return this.#plan.id;
  }

  /** The link of the machine it stands on, once it is started. */
  get parent(): string | undefined {
    return this.#parent?.name;
  }

  get kind(): StackedKind {
    return this.#plan.kind;
  }

  get isStarted(): boolean {
    return this.#parent !== undefined;
  }

  get subnets(): readonly Subnet[] {
    return this.#places.map(({ subnet }) => subnet);
  }

  get addressUse(): ReadonlyMap<string, AddressUse> {
    return this.#addresses.use;
  }

  get info(): NetworkInfo {
    const { id, name, createdAt, kind, internal, pools, mtu } = this.#plan;
    const has = (family: Family) => pools.some((pool) => pool.family === family);
    return {
      id,
      name,
      driver: kind.driver,
      createdAt,
      predefined: false,
      internal,
      ...(mtu === undefined ? {} : { mtu }),
      ipv4: has(4),
      ...(has(4) ? this.#poolInfo(4) : {}),
      ...(has(6) ? { ipv6: this.#poolInfo(6) } : {}),
    };
  }

  leadsOut(family: Family): boolean {
    return !this.#plan.internal && this.#plan.pools.some((pool) => pool.family === family);
  }

  async start(reserved: readonly Subnet[]): Promise<void> {
    const { kind, parent } = this.#plan;
    const { helper, owner } = this.#parts;
    this.#parent = await ensureParent(helper, { driver: kind.driver, parent, networkID: this.id, owner });
    if (this.#places.length > 0) return;
    const places: Place[] = [];
    for (const pool of this.#plan.pools) {
      const place = await this.#placeFor(pool, reserved);
      places.push(place);
      this.#addresses.open(place, pool);
    }
    this.#places = places;
  }

  /** On layer 3 there is nobody to be a gateway: everything leaves by the link. */
  async #placeFor({ family, address, pools }: PoolPlan, reserved: readonly Subnet[]): Promise<Place> {
    const { kind, internal } = this.#plan;
    const hasGateway = !internal && !(kind.driver === 'ipvlan' && kind.mode !== 'l2');
    if (address !== undefined) {
      const { subnet, address: gateway } = parseCidr(address);
      return hasGateway ? { family, subnet, gateway } : { family, subnet };
    }
    const taken = await takenSubnets(this.#parts.helper, family);
    const subnet = chooseSubnet(pools, [...taken, ...reserved]);
    const gateway = { family, value: subnet.base.value + 1n };
    return hasGateway ? { family, subnet, gateway } : { family, subnet };
  }

  async connect(containerID: string, socket: Socket, options: ConnectOptions): Promise<Endpoint> {
    if (this.#held.has(containerID)) {
      throw new EngineError(
        'permission-denied',
        `endpoint with name ${options.name ?? containerID} already exists in network ${this.#plan.name}`,
      );
    }
    linkLocalAddresses(socket.wishes);
    const chosenMac = options.macAddress ? checkMac(options.macAddress) : undefined;
    const { addresses, shown, macAddress } = this.#addresses.take(options, !this.#plan.internal);
    const endpoint: Endpoint = {
      networkID: this.id,
      endpointID: randomBytes(32).toString('hex'),
      ...shown,
      macAddress: chosenMac ?? macAddress,
      ports: [],
      hostLink: '',
      linkInside: socket.linkInside,
    };
    this.#held.set(containerID, { endpoint, addresses });
    try {
      await this.#plug(endpoint, socket);
    } catch (error) {
      await cleanup(`network endpoint of ${containerID}`, () => this.disconnect(containerID));
      throw error;
    }
    this.#addNames(endpoint, options.resolving?.names ?? []);
    return endpoint;
  }

  /** The link is gone before its addresses are given to others: a parent takes no hardware address twice. */
  async disconnect(containerID: string): Promise<void> {
    const held = this.#held.get(containerID);
    if (!held) return;
    const { endpoint, addresses } = held;
    for (const [, { ipAddress }] of placesOf(endpoint)) this.names.remove(ipAddress);
    const unplug = new Program()
      .enter(this.#parts.namespacePath(containerID))
      .send(`delete link ${endpoint.linkInside}`, deleteLink(endpoint.linkInside), { lenient: true });
    await cleanup(`link of ${containerID}`, () => this.#parts.helper.run(unplug).then(() => {}));
    this.#held.delete(containerID);
    this.#addresses.giveBack(addresses);
  }

  /** There is no host address to publish on. */
  publish(containerID: string): Promise<Endpoint> {
    const held = this.#held.get(containerID);
    if (held) return Promise.resolve(held.endpoint);
    throw new EngineError('not-found', `container ${containerID} is not on network ${this.#plan.name}`);
  }

  adopt(containerID: string, endpoint: Endpoint, names: readonly string[]): Promise<void> {
    if (this.#held.has(containerID)) return Promise.resolve();
    this.#held.set(containerID, { endpoint, addresses: this.#addresses.takeAgain(containerID, endpoint) });
    this.#addNames(endpoint, names);
    return Promise.resolve();
  }

  /** Links are inside of namespaces, and go with them. */
  recover(): Promise<void> {
    return Promise.resolve();
  }

  async *verify(keep: ReadonlySet<string>): AsyncGenerator<string> {
    for (const containerID of this.#held.keys()) {
      if (!keep.has(containerID)) {
        yield `network ${this.#plan.name}: endpoint of ${containerID} belongs to no container`;
      }
    }
  }

  async teardown(): Promise<void> {
    for (const containerID of [...this.#held.keys()]) await this.disconnect(containerID);
    const { remover, isShared } = this.#parts;
    if (this.#parent?.own && !isShared(this.#parent.name, this.id)) await remover.remove(this.#parent.name);
    this.#parent = undefined;
    this.#places = [];
    this.#addresses.clear();
  }

  dispose(): Promise<void> {
    this.#held.clear();
    return Promise.resolve();
  }

  #poolInfo(family: Family): PoolInfo {
    const { ipRange, address } = this.#plan.pools.find((pool) => pool.family === family)!;
    const [place, ...others] = this.#places.filter((candidate) => candidate.family === family);
    return {
      ownSubnet: address !== undefined,
      ...(others.length > 0 ? { moreSubnets: others.map(({ subnet }) => subnetText(subnet)) } : {}),
      ...(ipRange === undefined ? {} : { ipRange }),
      ...(place && { subnet: subnetText(place.subnet) }),
      ...(place?.gateway && { gateway: addressText(place.gateway) }),
    };
  }

  #addNames(endpoint: Endpoint, names: readonly string[]): void {
    for (const [, { ipAddress }] of placesOf(endpoint)) this.names.add(ipAddress, names);
  }

  async #plug(endpoint: Endpoint, { namespacePath, waysOut, wishes }: Socket): Promise<void> {
    const { kind, mtu } = this.#plan;
    if (!this.#parent) {
      throw new EngineError('failed-precondition', `network ${this.#plan.name} could not be started on this machine`);
    }
    const { linkInside: name, macAddress } = endpoint;
    const made = createStacked({
      kind,
      parentIndex: this.#parent.index,
      name,
      macAddress,
      ...(mtu === undefined ? {} : { mtu }),
      namespacePath,
    });
    const program = new Program().send(`failed to create the ${kind.driver} port`, made).enter(namespacePath);
    await this.#parts.helper.run(settleInside(program, { endpoint, waysOut, wishes }));
  }
}
