/** Which subnet a network gets and which address a container gets, as dockerd decides. */
import { EngineError } from '#errdefs';
import { type Address, contains, overlap, parseAddress, parseCidr, type Subnet } from './address.ts';

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

/**
 * The first subnet of the pools that overlaps nothing in `taken`.
 * @throws `invalid-argument` for a bad pool, `failed-precondition` when all are taken.
 */
export function chooseSubnet(pools: readonly AddressPool[], taken: readonly Subnet[]): Subnet {
  for (const subnet of subnetsOf(pools)) {
    if (!taken.some((other) => overlap(subnet, other))) return subnet;
  }
  throw new EngineError(
    'failed-precondition',
    'could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network',
  );
}

function* subnetsOf(pools: readonly AddressPool[]): Generator<Subnet> {
  for (const { base, size } of pools) {
    const { subnet } = parseCidr(base);
    if (!Number.isInteger(size) || size < subnet.prefixLength || size > 30) {
      throw new EngineError('invalid-argument', `invalid default address pool: base ${base}, size ${size}`);
    }
    const stepSize = 2 ** (32 - size);
    const end = subnet.base + 2 ** (32 - subnet.prefixLength);
    for (let at = subnet.base; at < end; at += stepSize) yield { base: at, prefixLength: size };
  }
}

export interface AddressesOptions {
  readonly gateway?: Address;
  /** Addresses are given from here; outside of it they can still be reserved. */
  readonly range?: Subnet;
  /** Never given: devices of the user's own. */
  readonly auxiliary?: readonly Address[];
}

/** The addresses of one subnet. The lowest free one is given, so that a freed address is used again soon. */
export class Addresses {
  readonly subnet: Subnet;
  readonly #range: Subnet;
  readonly #taken = new Set<Address>();

  constructor(subnet: Subnet, options: AddressesOptions = {}) {
    this.subnet = subnet;
    this.#range = options.range ?? subnet;
    if (options.gateway !== undefined) this.#taken.add(options.gateway);
    for (const address of options.auxiliary ?? []) this.#taken.add(address);
    if (subnet.prefixLength > 30) return;
    this.#taken.add(subnet.base);
    this.#taken.add(lastOf(subnet));
  }

  /** @throws `failed-precondition` when none is free. */
  allocate(): Address {
    const last = lastOf(this.#range);
    for (let at = this.#range.base; at <= last; at++) {
      if (this.#taken.has(at)) continue;
      this.#taken.add(at);
      return at;
    }
    throw new EngineError('failed-precondition', "no available IPv4 addresses on this network's address pools");
  }

  /** @throws `invalid-argument` outside the subnet, `conflict` when it is in use. */
  reserve(value: string): Address {
    const address = parseAddress(value);
    if (!contains(this.subnet, address)) {
      throw new EngineError(
        'invalid-argument',
        `invalid endpoint settings:\nno configured subnet or ip-range contain the IP address ${value}`,
      );
    }
    if (this.#taken.has(address)) throw new EngineError('conflict', 'Address already in use');
    this.#taken.add(address);
    return address;
  }

  release(address: Address): void {
    this.#taken.delete(address);
  }
}

function lastOf(subnet: Subnet): Address {
  return subnet.base + 2 ** (32 - subnet.prefixLength) - 1;
}
