/** Which subnet a network gets and which address a container gets, as dockerd decides. */
import { createHash } from 'node:crypto';
import { EngineError } from '#errdefs';
import {
  type Address,
  addressAfter,
  contains,
  type Family,
  familyOf,
  lastOf,
  overlap,
  parseAddress,
  parseCidr,
  type Subnet,
  subnetText,
  widthOf,
} from './address.ts';

export interface AddressPool {
  readonly base: string;
  /** Prefix length of the subnets cut from it. */
  readonly size: number;
}

/** dockerd's local scope. */
export const defaultPools: readonly AddressPool[] = [
  { base: '172.17.0.0/16', size: 16 },
  { base: '172.18.0.0/16', size: 16 },
  { base: '172.19.0.0/16', size: 16 },
  { base: '172.20.0.0/14', size: 16 },
  { base: '172.24.0.0/14', size: 16 },
  { base: '172.28.0.0/14', size: 16 },
  { base: '192.168.0.0/16', size: 20 },
];

/** A daemon's own IPv6 subnets (RFC 4193 §3.2), from its ID as dockerd takes them: the global ID is the last 40 of the digest's first 64 bits. */
export function uniqueLocalPool(engineID: string): AddressPool {
  const globalID = createHash('sha256').update(engineID).digest().readBigUInt64BE() & (2n ** 40n - 1n);
  const base: Address = { family: 6, value: (0xfdn << 120n) | (globalID << 80n) };
  return { base: subnetText({ base, prefixLength: 48 }), size: 64 };
}

/** The pools of one family: those of the user, with a daemon's own for IPv6 where he gave none. */
export function poolsOf(family: Family, given: readonly AddressPool[] | undefined, engineID: string): AddressPool[] {
  const pools = (given ?? defaultPools).filter(({ base }) => (familyOf(base) ?? 4) === family);
  return family === 6 && pools.length === 0 ? [uniqueLocalPool(engineID)] : pools;
}

/**
 * The first subnet of the pools that overlaps nothing in `taken`.
 * @throws `invalid-argument` for a bad pool, `failed-precondition` when all are taken.
 */
export function chooseSubnet(pools: readonly AddressPool[], taken: readonly Subnet[]): Subnet {
  for (const subnet of subnetsOf(pools)) {
    if (!taken.some((other) => overlap(subnet, other))) return subnet;
  }
  throw new EngineError('failed-precondition', 'all predefined address pools have been fully subnetted');
}

function* subnetsOf(pools: readonly AddressPool[]): Generator<Subnet> {
  for (const { base, size } of pools) {
    const { subnet } = parseCidr(base);
    const { family } = subnet.base;
    if (!Number.isInteger(size) || size < subnet.prefixLength || size > widthOf(family) - 2) {
      throw new EngineError('invalid-argument', `invalid default address pool: base ${base}, size ${size}`);
    }
    const step = 2n ** BigInt(widthOf(family) - size);
    const last = lastOf(subnet).value;
    for (let value = subnet.base.value; value <= last; value += step) {
      yield { base: { family, value }, prefixLength: size };
    }
  }
}

export interface AddressesOptions {
  readonly gateway?: Address;
  /** Addresses are given from here; outside of it they can still be reserved. */
  readonly range?: Subnet;
  /** Never given: devices of the user's own. */
  readonly auxiliary?: readonly Address[];
}

/** Counts of addresses: those of an IPv6 subnet are beyond what a number holds. */
export interface AddressUse {
  readonly taken: bigint;
  readonly free: bigint;
}

/** The addresses of one subnet. The lowest free one is given, so that a freed address is used again soon. */
export class Addresses {
  readonly subnet: Subnet;
  readonly #range: Subnet;
  readonly #taken = new Set<bigint>();

  constructor(subnet: Subnet, options: AddressesOptions = {}) {
    this.subnet = subnet;
    this.#range = options.range ?? subnet;
    if (options.gateway) this.#taken.add(options.gateway.value);
    for (const address of options.auxiliary ?? []) this.#taken.add(address.value);
    // IPv6's first address is every router's (RFC 4291 §2.6.1); it has no broadcast address.
    if (subnet.base.family === 6) this.#taken.add(subnet.base.value);
    else if (subnet.prefixLength <= 30) this.#taken.add(subnet.base.value).add(lastOf(subnet).value);
  }

  /** How many are given or kept back, and how many of the range may still be given. */
  get use(): AddressUse {
    const range = this.#range;
    const ofRange = [...this.#taken].filter((value) => contains(range, { family: range.base.family, value })).length;
    const size = 2n ** BigInt(widthOf(range.base.family) - range.prefixLength);
    return { taken: BigInt(this.#taken.size), free: size - BigInt(ofRange) };
  }

  get isFull(): boolean {
    return this.#firstFree() === undefined;
  }

  #firstFree(): bigint | undefined {
    const last = lastOf(this.#range).value;
    for (let { value } = this.#range.base; value <= last; value++) if (!this.#taken.has(value)) return value;
    return undefined;
  }

  /** @throws `failed-precondition` when none is free. */
  allocate(): Address {
    const { family } = this.subnet.base;
    const value = this.#firstFree();
    if (value !== undefined) {
      this.#taken.add(value);
      return { family, value };
    }
    throw new EngineError('failed-precondition', `no available IPv${family} addresses on this network's address pools`);
  }

  /** @throws `invalid-argument` outside the subnet, `conflict` when it is in use. */
  reserve(text: string): Address {
    const address = parseAddress(text);
    if (!contains(this.subnet, address)) {
      throw new EngineError(
        'invalid-argument',
        `invalid endpoint settings:\nno configured subnet or ip-range contain the IP address ${text}`,
      );
    }
    if (this.#taken.has(address.value)) throw new EngineError('conflict', 'Address already in use');
    this.#taken.add(address.value);
    return address;
  }

  release(address: Address): void {
    this.#taken.delete(address.value);
  }
}

/** The first address of a subnet, or of the range in it, that is neither the network's own nor the user's: its gateway, where none is named. */
export function firstAddress(subnet: Subnet, options: Pick<AddressesOptions, 'range' | 'auxiliary'>): Address {
  const others = new Set((options.auxiliary ?? []).map(({ value }) => value));
  const { base } = options.range ?? subnet;
  let count = 0n;
  while (base.value + count === subnet.base.value || others.has(base.value + count)) count++;
  return addressAfter(base, count);
}
