/** Bridges: found, or made with subnets that overlap nothing on this machine. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { isIP } from 'node:net';
import { cleanup, delay } from '#concurrency';
import { EngineError } from '#errdefs';
import {
  type Address,
  addressAfter,
  addressText,
  type Family,
  isLinkLocal6,
  isMulticast6,
  isSame,
  macOf,
  overlap,
  parseAddress,
  parseCidr,
  type Subnet,
  subnetOf,
  widthOf,
} from './address.ts';
import type { NamespaceHelper } from './helper.ts';
import { type AddressPool, chooseSubnet } from './ipam.ts';
import {
  configureLink,
  createBridge,
  type Datagram,
  decodeAddresses,
  decodeLinks,
  decodeRoutes,
  deleteAddress,
  deleteLink,
  type LinkAddress,
  type LinkInfo,
  listAddresses,
  listLinks,
  listRoutes,
} from './netlink/index.ts';
import { Program } from './program.ts';
import { parseResolvConf, readHostResolvConf } from './resolv-conf.ts';

const contentionMs = 50;

export interface Bridge {
  readonly name: string;
  readonly index: number;
  /** One for each family it has. */
  readonly places: readonly Place[];
  /** Made by us, and ours to remove. */
  readonly own: boolean;
}

/** Where a bridge is in one family. */
export interface Place {
  readonly family: Family;
  readonly subnet: Subnet;
  /** The bridge's own address, or what takes its place; absent where nobody does. */
  readonly gateway?: Address;
}

/** What this machine's network looks like now. */
interface Surroundings {
  readonly addresses: readonly LinkAddress[];
  readonly taken: readonly Subnet[];
}

/** The bridge that is wanted. */
export interface BridgeWish {
  readonly name: string;
  /** `must-exist`: the user made it and keeps it. */
  readonly link: 'must-exist' | 'make';
  /** Marks a link we made: {@link ownerName}. */
  readonly owner: string;
  readonly places: readonly PlaceWish[];
  /** Subnets of our other networks, whether their bridges are up or not. */
  readonly reserved: readonly Subnet[];
  readonly mtu: number;
  /** The host is told to forward between its links. */
  readonly forwards: boolean;
  /** The host answers for ports that the kernel keeps apart, and decides what gets from one to the other. */
  readonly betweenPorts: boolean;
}

export interface PlaceWish {
  readonly family: Family;
  /** The bridge's address with its prefix length; chosen from the pools when absent. */
  readonly address?: string;
  readonly pools: readonly AddressPool[];
  /** The bridge takes no address of its subnet. */
  readonly bare: boolean;
  /** Its containers have a gateway all the same, who may be somebody else. */
  readonly hasGateway: boolean;
}

/**
 * Finds or makes the bridge, gives it addresses, turns on forwarding. Idempotent.
 * @throws `failed-precondition` when a bridge named by the user is not there, no subnet is free, or IPv6 is wanted of a machine that has none.
 */
export async function ensureBridge(helper: NamespaceHelper, wish: BridgeWish): Promise<Bridge> {
  const { made, ...link } = await ensureLink(helper, wish);
  try {
    return await configureBridge(helper, wish, link);
  } catch (error) {
    if (made) await cleanup(`bridge ${wish.name}`, () => remove(helper, wish.name));
    throw error;
  }
}

interface Link {
  readonly index: number;
  readonly own: boolean;
}

async function configureBridge(helper: NamespaceHelper, wish: BridgeWish, link: Link): Promise<Bridge> {
  const { name } = wish;
  if (wish.places.some(({ family }) => family === 6)) await enableIPv6(helper, name);
  await helper.run(new Program().send(`set up ${name}`, configureLink({ name })));
  const places: Place[] = [];
  for (const place of wish.places) {
    places.push(await ensurePlace(helper, { ...wish, ...link, ...place }));
  }
  await helper.run(forwarding(wish, places));
  await helper.run(betweenPorts(name, wish.betweenPorts));
  return { name, ...link, places };
}

async function remove(helper: NamespaceHelper, name: string): Promise<void> {
  await helper.run(new Program().send(`delete link ${name}`, deleteLink(name)));
}

function forwarding({ name, forwards }: BridgeWish, places: readonly Place[]): Program {
  const program = new Program();
  for (const { family } of places) {
    if (family === 4) {
      if (forwards) program.write('/proc/sys/net/ipv4/ip_forward', '1');
      program.write(`/proc/sys/net/ipv4/conf/${name}/route_localnet`, '1');
    } else if (forwards) {
      for (const which of ['default', 'all']) program.write(`/proc/sys/net/ipv6/conf/${which}/forwarding`, '1');
    }
  }
  return program;
}

/** Who asks for a neighbour's hardware address gets the bridge's (RFC 3069), at once: what he sends then is forwarded, or not. */
function betweenPorts(name: string, wanted: boolean): Program {
  const program = new Program().write(`/proc/sys/net/ipv4/conf/${name}/proxy_arp_pvlan`, wanted ? '1' : '0');
  return wanted ? program.write(`/proc/sys/net/ipv4/neigh/${name}/proxy_delay`, '0') : program;
}

/**
 * The host believes no router that a container plays (CVE-2020-13401), and asks at once where containers are: it asks from the bridge's own link-local address,
 * which it would try out for a second first.
 */
async function enableIPv6(helper: NamespaceHelper, name: string): Promise<void> {
  const folder = `/proc/sys/net/ipv6/conf/${name}`;
  if (!existsSync(`${folder}/disable_ipv6`)) {
    throw new EngineError(
      'failed-precondition',
      `Cannot read IPv6 setup for bridge ${name}: open ${folder}/disable_ipv6: no such file or directory`,
    );
  }
  const program = new Program();
  for (const [name, value] of [
    ['disable_ipv6', '0'],
    ['accept_ra', '0'],
    ['accept_dad', '0'],
  ] as const) {
    program.write(`${folder}/${name}`, value);
  }
  await helper.run(program);
}

async function ensureLink(helper: NamespaceHelper, wish: BridgeWish): Promise<Link & { made: boolean }> {
  const { name, mtu, owner } = wish;
  const find = async () => (await listHostLinks(helper)).find((link) => link.name === name);
  const found = await find();
  if (found && found.kind !== 'bridge') {
    throw new EngineError('failed-precondition', `existing interface ${name} is not a bridge`);
  }
  if (found) return { index: found.index, own: found.alias === owner, made: false };
  if (wish.link === 'must-exist') {
    throw new EngineError(
      'failed-precondition',
      `bridge device with non default name ${name} must be created manually`,
    );
  }
  const macAddress = macOf({ family: 4, value: BigInt(createHash('sha256').update(name).digest().readUInt32BE(0)) });
  await helper.run(new Program().send(`create bridge ${name}`, createBridge({ name, macAddress, mtu, alias: owner })));
  return { index: (await find())!.index, own: true, made: true };
}

type Wish = BridgeWish & PlaceWish & Link;

async function ensurePlace(helper: NamespaceHelper, wish: Wish): Promise<Place> {
  while (true) {
    const seen = await look(helper, wish.family);
    const current = await currentPlace(helper, wish, seen);
    const chosen = current ?? (await choosePlace(wish, seen));
    if (wish.bare || !chosen.gateway || current) return chosen;
    const address = { address: chosen.gateway, prefixLength: chosen.subnet.prefixLength };
    await helper.run(
      new Program().send(`configure bridge ${wish.name}`, configureLink({ name: wish.name, ...address })),
    );
    if (wish.address !== undefined || !(await isContested(helper, wish.index, chosen.subnet))) return chosen;
    // Another daemon took the same subnet between our look and our choice. Whoever sees that gives way, for a moment of its own.
    const giveUp = deleteAddress(wish.index, chosen.gateway, chosen.subnet);
    await helper.run(new Program().send('give up address', giveUp));
    await delay(Math.random() * contentionMs);
  }
}

/** The address an existing bridge has, unless the user wants another and the bridge is ours to change. */
async function currentPlace(helper: NamespaceHelper, wish: Wish, seen: Surroundings): Promise<Place | undefined> {
  const wanted = wish.address === undefined ? undefined : parseCidr(wish.address);
  let kept: Place | undefined;
  for (const { address, prefixLength, linkIndex } of seen.addresses) {
    const isWanted = wanted && isSame(wanted.address, address) && wanted.subnet.prefixLength === prefixLength;
    // Every link has a link-local address of its own making.
    if (linkIndex !== wish.index || (isLinkLocal6(address) && !isWanted)) continue;
    const subnet = subnetOf(address, prefixLength);
    if (!wish.bare && (!wanted || isWanted)) kept ??= { family: wish.family, gateway: address, subnet };
    else if (wish.own) {
      await helper.run(new Program().send('replace address', deleteAddress(wish.index, address, subnet)));
    }
  }
  return kept;
}

async function choosePlace(wish: Wish, seen: Surroundings): Promise<Place> {
  const { family, hasGateway } = wish;
  if (wish.address !== undefined) {
    const { address, subnet } = parseCidr(wish.address);
    if (!hasGateway) return { family, subnet };
    checkGateway(wish, address, subnet);
    return { family, gateway: address, subnet };
  }
  const taken = [...seen.taken, ...wish.reserved, ...(await nameserverSubnets())];
  const subnet = chooseSubnet(wish.pools, taken);
  return hasGateway ? { family, gateway: addressAfter(subnet.base, 1n), subnet } : { family, subnet };
}

function checkGateway({ address: text, name, family }: Wish, address: Address, subnet: Subnet): void {
  if (isMulticast6(address)) {
    throw new EngineError('invalid-argument', `multicast subnet '${text}' is not allowed`);
  }
  if (family === 6 && subnet.prefixLength === widthOf(family)) {
    throw new EngineError('invalid-argument', 'failed to allocate gateway (): no available addresses on this pool');
  }
  if (!isSame(address, subnet.base) || (family === 4 && subnet.prefixLength >= 31)) return;
  if (family === 6) {
    throw new EngineError('conflict', `failed to allocate gateway (${addressText(address)}): Address already in use`);
  }
  throw new EngineError('invalid-argument', `invalid address ${text} of bridge ${name}: it is the network's own`);
}

async function isContested(helper: NamespaceHelper, index: number, subnet: Subnet): Promise<boolean> {
  const { addresses } = await look(helper, subnet.base.family);
  return addresses.some(
    ({ linkIndex, address, prefixLength }) => linkIndex !== index && overlap(subnet, subnetOf(address, prefixLength)),
  );
}

/** A container must be able to reach the name servers of the host. */
async function nameserverSubnets(): Promise<Subnet[]> {
  const { hostText } = await readHostResolvConf('legacy');
  return parseResolvConf(hostText).nameservers.flatMap((server) => {
    if (isIP(server) === 0 || server.includes('%')) return [];
    const base = parseAddress(server);
    return [{ base, prefixLength: widthOf(base.family) }];
  });
}

/** What routes and addresses of the machine have already. */
export async function takenSubnets(helper: NamespaceHelper, family: Family): Promise<readonly Subnet[]> {
  return (await look(helper, family)).taken;
}

async function look(helper: NamespaceHelper, family: Family): Promise<Surroundings> {
  const addresses = await ask(helper, listAddresses(family), decodeAddresses);
  const routes = await ask(helper, listRoutes(family), decodeRoutes);
  const taken = [
    ...routes.map(({ destination, prefixLength }) => ({ base: destination, prefixLength })),
    ...addresses.map(({ address, prefixLength }) => subnetOf(address, prefixLength)),
  ];
  return { addresses, taken };
}

async function ask<T>(helper: NamespaceHelper, question: Datagram, decode: (answer: Buffer) => T): Promise<T> {
  return decode(await helper.run(new Program().send('list links, addresses and routes', question)));
}

export function listHostLinks(helper: NamespaceHelper): Promise<readonly LinkInfo[]> {
  return ask(helper, listLinks(), decodeLinks);
}
