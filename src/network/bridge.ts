/** Bridges: found, or made with a subnet that overlaps nothing on this machine. */
import { createHash } from 'node:crypto';
import { delay } from '#concurrency';
import { EngineError } from '#errdefs';
import { type Address, macOf, networkOf, overlap, parseCidr, type Subnet } from './address.ts';
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
  readonly gateway: Address;
  readonly subnet: Subnet;
  /** Made by us, and ours to remove. */
  readonly own: boolean;
}

/** What this machine's network looks like now. */
interface Surroundings {
  readonly links: readonly LinkInfo[];
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
  /** `a.b.c.d/n`: the gateway's address in its subnet; chosen from the pools when absent. */
  readonly address?: string;
  readonly pools: readonly AddressPool[];
  /** Subnets of our other networks, whether their bridges are up or not. */
  readonly reserved: readonly Subnet[];
  readonly mtu: number;
}

/**
 * Finds or makes the bridge, gives it an address, turns on forwarding. Idempotent.
 * @throws `failed-precondition` when a bridge named by the user is not there, or no subnet is free.
 */
export async function ensureBridge(helper: NamespaceHelper, wish: BridgeWish): Promise<Bridge> {
  const { name } = wish;
  const link = await ensureLink(helper, wish);
  const address = await ensureAddress(helper, { ...wish, ...link });
  const program = new Program()
    .write('/proc/sys/net/ipv4/ip_forward', '1')
    .write(`/proc/sys/net/ipv4/conf/${name}/route_localnet`, '1');
  await helper.run(program);
  return { name, ...link, ...address };
}

async function ensureLink(helper: NamespaceHelper, wish: BridgeWish): Promise<{ index: number; own: boolean }> {
  const { name, mtu, owner } = wish;
  const find = async () => (await listHostLinks(helper)).find((link) => link.name === name);
  const found = await find();
  if (found && found.kind !== 'bridge') {
    throw new EngineError('failed-precondition', `existing interface ${name} is not a bridge`);
  }
  if (found) return { index: found.index, own: found.alias === owner };
  if (wish.link === 'must-exist') {
    throw new EngineError(
      'failed-precondition',
      `bridge device with non default name ${name} must be created manually`,
    );
  }
  const macAddress = macOf(createHash('sha256').update(name).digest().readUInt32BE(0));
  await helper.run(new Program().send(`create bridge ${name}`, createBridge({ name, macAddress, mtu, alias: owner })));
  return { index: (await find())!.index, own: true };
}

type Wish = BridgeWish & { readonly index: number; readonly own: boolean };

async function ensureAddress(helper: NamespaceHelper, wish: Wish): Promise<{ gateway: Address; subnet: Subnet }> {
  while (true) {
    const seen = await look(helper);
    const current = await currentAddress(helper, wish, seen);
    const chosen = current ?? (await chooseAddress(wish, seen));
    await helper.run(addressProgram(wish.name, chosen, current !== undefined));
    const isFree = wish.address !== undefined || current !== undefined;
    if (isFree || !(await isContested(helper, wish.index, chosen.subnet))) return chosen;
    // Another daemon took the same subnet between our look and our choice. Whoever sees that gives way, for a moment of its own.
    const giveUp = deleteAddress(wish.index, chosen.gateway, chosen.subnet);
    await helper.run(new Program().send('give up address', giveUp));
    await delay(Math.random() * contentionMs);
  }
}

/** The address an existing bridge has, unless the user wants another and the bridge is ours to change. */
async function currentAddress(helper: NamespaceHelper, wish: Wish, seen: Surroundings) {
  const wanted = wish.address === undefined ? undefined : parseCidr(wish.address);
  let kept: { gateway: Address; subnet: Subnet } | undefined;
  for (const { address, prefixLength, linkIndex } of seen.addresses) {
    if (linkIndex !== wish.index) continue;
    const subnet = { base: networkOf(address, prefixLength), prefixLength };
    const fits = !wanted || (wanted.address === address && wanted.subnet.prefixLength === prefixLength);
    if (fits) kept ??= { gateway: address, subnet };
    else if (wish.own) {
      await helper.run(new Program().send('replace address', deleteAddress(wish.index, address, subnet)));
    }
  }
  return kept;
}

async function chooseAddress(wish: Wish, seen: Surroundings) {
  if (wish.address !== undefined) {
    const { address, subnet } = parseCidr(wish.address);
    if (address === subnet.base && subnet.prefixLength < 31) {
      throw new EngineError(
        'invalid-argument',
        `invalid address ${wish.address} of bridge ${wish.name}: it is the network's own`,
      );
    }
    return { gateway: address, subnet };
  }
  const taken = [...seen.taken, ...wish.reserved, ...(await nameserverSubnets())];
  const subnet = chooseSubnet(wish.pools, taken);
  return { gateway: subnet.base + 1, subnet };
}

function addressProgram(name: string, chosen: { gateway: Address; subnet: Subnet }, present: boolean): Program {
  const datagram = configureLink({
    name,
    ...(present ? {} : { address: chosen.gateway, prefixLength: chosen.subnet.prefixLength }),
  });
  return new Program().send(`configure bridge ${name}`, datagram);
}

async function isContested(helper: NamespaceHelper, index: number, subnet: Subnet): Promise<boolean> {
  const { addresses } = await look(helper);
  return addresses.some(
    ({ linkIndex, address, prefixLength }) =>
      linkIndex !== index && overlap(subnet, { base: networkOf(address, prefixLength), prefixLength }),
  );
}

/** A container must be able to reach the name servers of the host. */
async function nameserverSubnets(): Promise<Subnet[]> {
  const { hostText } = await readHostResolvConf('legacy');
  return parseResolvConf(hostText).nameservers.flatMap((server) =>
    /^[0-9.]+$/.test(server) ? [{ base: parseCidr(`${server}/32`).address, prefixLength: 32 }] : [],
  );
}

async function look(helper: NamespaceHelper): Promise<Surroundings> {
  const links = await ask(helper, listLinks(), decodeLinks);
  const addresses = await ask(helper, listAddresses(), decodeAddresses);
  const routes = await ask(helper, listRoutes(), decodeRoutes);
  const taken = [
    ...routes.map(({ destination, prefixLength }) => ({ base: destination, prefixLength })),
    ...addresses.map(({ address, prefixLength }) => ({ base: networkOf(address, prefixLength), prefixLength })),
  ];
  return { links, addresses, taken };
}

async function ask<T>(helper: NamespaceHelper, question: Datagram, decode: (answer: Buffer) => T): Promise<T> {
  return decode(await helper.run(new Program().send('list links, addresses and routes', question)));
}

export function listHostLinks(helper: NamespaceHelper): Promise<readonly LinkInfo[]> {
  return ask(helper, listLinks(), decodeLinks);
}
