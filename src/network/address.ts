/** IPv4 addresses as numbers, subnets, and hardware addresses. */
import { isIPv4 } from 'node:net';
import { EngineError } from '#errdefs';

/** An IPv4 address as an unsigned 32-bit number. */
export type Address = number;

export interface Subnet {
  /** The network's own address: host bits are zero. */
  readonly base: Address;
  readonly prefixLength: number;
}

/** @throws `invalid-argument` */
export function parseAddress(value: string): Address {
  if (!isIPv4(value)) throw new EngineError('invalid-argument', `invalid IPv4 address: ${value}`);
  return value.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
}

export function addressText(address: Address): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join('.');
}

export function addressBytes(address: Address): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(address >>> 0);
  return bytes;
}

/** `a.b.c.d/n`: the address as written and the subnet it lies in. @throws `invalid-argument` */
export function parseCidr(value: string): { address: Address; subnet: Subnet } {
  const match = /^([0-9.]+)\/([0-9]{1,2})$/.exec(value);
  const prefixLength = Number(match?.[2]);
  if (!match || prefixLength > 32) throw new EngineError('invalid-argument', `invalid CIDR address: ${value}`);
  const address = parseAddress(match[1]!);
  return { address, subnet: { base: networkOf(address, prefixLength), prefixLength } };
}

export function networkOf(address: Address, prefixLength: number): Address {
  const size = 2 ** (32 - prefixLength);
  return Math.floor(address / size) * size;
}

export function subnetText(subnet: Subnet): string {
  return `${addressText(subnet.base)}/${subnet.prefixLength}`;
}

export function contains(subnet: Subnet, address: Address): boolean {
  return networkOf(address, subnet.prefixLength) === subnet.base;
}

/** `172.18.0.0/16` and an address in text; false for what is neither. */
export function isAddressIn(subnet: string, address: string): boolean {
  return isIPv4(address) && subnet !== '' && contains(parseCidr(subnet).subnet, parseAddress(address));
}

/** The subnet a CIDR text lies in, as text: `10.0.0.5/24` is in `10.0.0.0/24`. Undefined for what is none. */
export function subnetBase(text: string): string | undefined {
  try {
    return subnetText(parseCidr(text).subnet);
  } catch {
    return undefined;
  }
}

export function overlap(a: Subnet, b: Subnet): boolean {
  return a.prefixLength <= b.prefixLength ? contains(a, b.base) : contains(b, a.base);
}

/**
 * The hardware address of an endpoint: locally administered, from its address. An address that is given to the next container keeps
 * its hardware address, so that nobody's neighbour table is wrong.
 */
export function macOf(address: Address): string {
  return ['02', '42', ...addressBytes(address).toString('hex').match(/../g)!].join(':');
}

/** @throws `invalid-argument` unless it is six bytes and not a group address. */
export function checkMac(value: string): string {
  const normal = value.toLowerCase().replaceAll('-', ':');
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/.test(normal) || Number.parseInt(normal.slice(0, 2), 16) & 1) {
    throw new EngineError('invalid-argument', `invalid MAC address: ${value}`);
  }
  return normal;
}
