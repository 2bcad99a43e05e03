import { EngineError } from '#errdefs';
import { log } from '#log';
import {
  type Address,
  addressText,
  contains,
  type Family,
  isSame,
  macOf,
  parseAddress,
  parseCidr,
  type Subnet,
  subnetText,
} from './address.ts';
import type { Place } from './bridge.ts';
import type { PoolPlan } from './bridge-plan.ts';
import { Addresses, type AddressUse } from './ipam.ts';
import type { ConnectOptions, Endpoint, EndpointAddress } from './types.ts';

const none: EndpointAddress = { ipAddress: '', prefixLength: 0, gateway: '' };

/** What an endpoint got: addresses that are given back, and how the endpoint tells of them. */
export interface TakenAddresses {
  readonly addresses: readonly Address[];
  readonly shown: EndpointAddress & { readonly ipv6?: EndpointAddress };
  /** The hardware address that comes with them. */
  readonly macAddress: string;
}

/** The addresses of a network's endpoints, one of each family it has. */
export class EndpointAddresses {
  readonly #network: string;
  /** By family, in the order addresses are given from them. */
  readonly #places = new Map<Family, readonly OpenPlace[]>();

  constructor(network: string) {
    this.#network = network;
  }

  /** A place that is open already keeps what was taken there. */
  open(own: Place, pool: Pick<PoolPlan, 'ipRange' | 'auxiliary' | 'gateway'>): void {
    const { family, subnet } = own;
    const told = pool.gateway === undefined ? undefined : otherGateway(subnet, pool.gateway);
    const place = told ? { ...own, gateway: told } : own;
    const options = {
      ...(own.gateway ? { gateway: own.gateway } : {}),
      ...(pool.ipRange ? { range: parseCidr(pool.ipRange).subnet } : {}),
      auxiliary: [...pool.auxiliary.map(parseAddress), ...(told ? [told] : [])],
    };
    const others = this.#places.get(family) ?? [];
    const at = others.findIndex((open) => isSame(open.place.subnet.base, subnet.base));
    const free = others[at]?.free ?? new Addresses(subnet, options);
    this.#places.set(family, at < 0 ? [...others, { place, free }] : others.with(at, { place, free }));
  }

  /** By subnet. */
  get use(): ReadonlyMap<string, AddressUse> {
    const all = [...this.#places.values()].flat();
    return new Map(all.map(({ place, free }) => [subnetText(place.subnet), free.use]));
  }

  clear(): void {
    this.#places.clear();
  }

  /** An address of each family; all or none. `leadsOut`: gateways are told. @throws as {@link Addresses} */
  take({ ipAddress, ipv6Address }: ConnectOptions, leadsOut: boolean): TakenAddresses {
    const addresses: Address[] = [];
    const shown: Partial<Record<Family, EndpointAddress>> = {};
    try {
      for (const [family, places] of this.#places) {
        const wanted = family === 4 ? ipAddress : ipv6Address;
        const { place, free } = placeFor(places, wanted);
        const address = wanted ? free.reserve(wanted) : free.allocate();
        addresses.push(address);
        const way = place.gateway && leadsOut ? addressText(place.gateway) : '';
        shown[family] = { ipAddress: addressText(address), prefixLength: place.subnet.prefixLength, gateway: way };
      }
    } catch (error) {
      this.giveBack(addresses);
      throw error;
    }
    const [first] = addresses;
    if (!first) throw new EngineError('failed-precondition', `network ${this.#network} could not be started here`);
    const ipv6 = shown[6];
    return { addresses, shown: { ...(shown[4] ?? none), ...(ipv6 ? { ipv6 } : {}) }, macAddress: macOf(first) };
  }

  /** Those of an endpoint of before; what is not free any more is logged. */
  takeAgain(containerID: string, endpoint: Endpoint): readonly Address[] {
    return placesOf(endpoint).flatMap(([family, { ipAddress }]) => {
      try {
        const places = this.#places.get(family);
        return places ? placeFor(places, ipAddress).free.reserve(ipAddress) : [];
      } catch (error) {
        log.warn('the address of an adopted container is not free in the network', { containerID, error });
        return [];
      }
    });
  }

  giveBack(addresses: readonly Address[]): void {
    for (const address of addresses) {
      this.#places
        .get(address.family)
        ?.find(({ place }) => contains(place.subnet, address))
        ?.free.release(address);
    }
  }
}

function otherGateway(subnet: Subnet, text: string): Address {
  const address = parseAddress(text);
  if (contains(subnet, address)) return address;
  throw new EngineError(
    'invalid-argument',
    `auxiliary address: (DefaultGatewayIPv${subnet.base.family}:${text}) must belong to the master pool: ${subnetText(subnet)}`,
  );
}

interface OpenPlace {
  readonly place: Place;
  readonly free: Addresses;
}

/** Of several subnets of one family that of the wanted address, else the first that is not full. */
function placeFor(places: readonly OpenPlace[], wanted: string | undefined): OpenPlace {
  const found = wanted
    ? places.find(({ place }) => contains(place.subnet, parseAddress(wanted)))
    : places.find(({ free }) => !free.isFull);
  return found ?? places[0]!;
}

/** The addresses an endpoint has, by family. */
export function placesOf(endpoint: Endpoint): (readonly [Family, EndpointAddress])[] {
  return [
    ...(endpoint.ipAddress === '' ? [] : [[4, endpoint] as const]),
    ...(endpoint.ipv6 ? [[6, endpoint.ipv6] as const] : []),
  ];
}
