/** IP addresses of both families as numbers, subnets, and hardware addresses. */
import { isIP } from 'node:net';
import { EngineError } from '#errdefs';

export type Family = 4 | 6;
export const families: readonly Family[] = [4, 6];

export interface Address {
  readonly family: Family;
  /** Unsigned, of 32 or 128 bits. */
  readonly value: bigint;
}

export interface Subnet {
  /** The network's own address: host bits are zero. */
  readonly base: Address;
  readonly prefixLength: number;
}

/** Bits of an address. */
export function widthOf(family: Family): number {
  return family === 4 ? 32 : 128;
}

/** @throws `invalid-argument` for what is neither an IPv4 nor an IPv6 address; one with a zone is none. */
export function parseAddress(value: string): Address {
  const family = value.includes('%') ? 0 : isIP(value);
  if (family === 4) return { family, value: parseQuad(value) };
  if (family === 6) return { family, value: parseGroups(value) };
  throw new EngineError('invalid-argument', `invalid IP address: ${value}`);
}

function parseQuad(value: string): bigint {
  return value.split('.').reduce((sum, part) => sum * 256n + BigInt(part), 0n);
}

/** RFC 4291 §2.2: eight groups, one run of zeros as `::`, the last two perhaps as an IPv4 address. */
function parseGroups(value: string): bigint {
  const [head = [], tail] = value.split('::').map((side) => (side === '' ? [] : side.split(':').flatMap(groupsOf)));
  const zeros = tail === undefined ? 0 : 8 - head.length - tail.length;
  return [...head, ...Array<bigint>(zeros).fill(0n), ...(tail ?? [])].reduce((sum, group) => sum * 65536n + group, 0n);
}

function groupsOf(part: string): bigint[] {
  if (!part.includes('.')) return [BigInt(`0x${part}`)];
  const quad = parseQuad(part);
  return [quad >> 16n, quad & 0xffffn];
}

export function addressText({ family, value }: Address): string {
  if (family === 4) return [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 255n).join('.');
  const groups = Array.from({ length: 8 }, (_, at) => ((value >> BigInt(112 - 16 * at)) & 0xffffn).toString(16));
  return compressed(groups);
}

/** RFC 5952 §4.2: the longest run of zeros, the first of several, is `::`; a single one is not. */
function compressed(groups: readonly string[]): string {
  let best = { start: 0, length: 1 };
  for (let start = 0; start < groups.length; start++) {
    let length = 0;
    while (groups[start + length] === '0') length++;
    if (length > best.length) best = { start, length };
  }
  if (best.length < 2) return groups.join(':');
  return `${groups.slice(0, best.start).join(':')}::${groups.slice(best.start + best.length).join(':')}`;
}

export function addressBytes({ family, value }: Address): Buffer {
  return Buffer.from(value.toString(16).padStart(widthOf(family) / 4, '0'), 'hex');
}

/** Four bytes or sixteen. */
export function addressFrom(bytes: Uint8Array): Address {
  return { family: bytes.length === 4 ? 4 : 6, value: BigInt(`0x${Buffer.from(bytes).toString('hex')}`) };
}

export function addressAfter({ family, value }: Address, count: bigint): Address {
  return { family, value: value + count };
}

export function isSame(a: Address, b: Address): boolean {
  return a.family === b.family && a.value === b.value;
}

/** `a.b.c.d/n` or `x::y/n`: the address as written and the subnet it lies in. @throws `invalid-argument` */
export function parseCidr(value: string): { address: Address; subnet: Subnet } {
  const match = /^([0-9a-f.:]+)\/([0-9]{1,3})$/i.exec(value);
  const prefixLength = Number(match?.[2]);
  if (!match || isIP(match[1]!) === 0) throw new EngineError('invalid-argument', `invalid CIDR address: ${value}`);
  const address = parseAddress(match[1]!);
  if (prefixLength > widthOf(address.family)) {
    throw new EngineError('invalid-argument', `invalid CIDR address: ${value}`);
  }
  return { address, subnet: subnetOf(address, prefixLength) };
}

/** The subnet of that length an address lies in. */
export function subnetOf({ family, value }: Address, prefixLength: number): Subnet {
  const hostBits = BigInt(widthOf(family) - prefixLength);
  return { base: { family, value: (value >> hostBits) << hostBits }, prefixLength };
}

/** The last address of a subnet. */
export function lastOf({ base, prefixLength }: Subnet): Address {
  return addressAfter(base, 2n ** BigInt(widthOf(base.family) - prefixLength) - 1n);
}

export function subnetText(subnet: Subnet): string {
  return `${addressText(subnet.base)}/${subnet.prefixLength}`;
}

export function contains(subnet: Subnet, address: Address): boolean {
  return address.family === subnet.base.family && isSame(subnetOf(address, subnet.prefixLength).base, subnet.base);
}

/** `172.18.0.0/16` and an address in text; false for what is neither. */
export function isAddressIn(subnet: string, address: string): boolean {
  return isIP(address) !== 0 && subnet !== '' && contains(parseCidr(subnet).subnet, parseAddress(address));
}

/** The subnet a CIDR text lies in, as text: `10.0.0.5/24` is in `10.0.0.0/24`. Undefined for what is none. */
export function subnetBase(text: string): string | undefined {
  try {
    return subnetText(parseCidr(text).subnet);
  } catch {
    return undefined;
  }
}

/** `10.0.0.5/24` names an address, no subnet. @throws `invalid-argument` for what is no CIDR. */
export function hasHostBits(text: string): boolean {
  const { address, subnet } = parseCidr(text);
  return !isSame(address, subnet.base);
}

/** The family of a CIDR or an address in text. Undefined for what is neither. */
export function familyOf(text: string): Family | undefined {
  const family = isIP(text.split('/', 1)[0]!);
  return family === 0 ? undefined : (family as Family);
}

export function overlap(a: Subnet, b: Subnet): boolean {
  if (a.base.family !== b.base.family) return false;
  return a.prefixLength <= b.prefixLength ? contains(a, b.base) : contains(b, a.base);
}

const linkLocal = parseCidr('fe80::/10').subnet;
const linkLocal4 = parseCidr('169.254.0.0/16').subnet;
const multicast6 = parseCidr('ff00::/8').subnet;

/** Every IPv6 link has such an address by itself (RFC 4291 §2.5.6). */
export function isLinkLocal6(address: Address): boolean {
  return address.family === 6 && contains(linkLocal, address);
}

/** Of the link alone, in either family (RFC 3927, RFC 4291 §2.5.6). */
export function isLinkLocal(address: Address): boolean {
  return isLinkLocal6(address) || contains(linkLocal4, address);
}

export function isMulticast6(address: Address): boolean {
  return address.family === 6 && contains(multicast6, address);
}

/**
 * The hardware address of an endpoint: locally administered, from the last bits of its address. An address that is given to the next container keeps
 * its hardware address, so that nobody's neighbour table is wrong.
 */
export function macOf(address: Address): string {
  return ['02', '42', ...addressBytes(address).subarray(-4).toString('hex').match(/../g)!].join(':');
}

/** @throws `invalid-argument` unless it is six bytes and not a group address. */
export function checkMac(value: string): string {
  const normal = value.toLowerCase().replaceAll('-', ':');
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/.test(normal) || Number.parseInt(normal.slice(0, 2), 16) & 1) {
    throw new EngineError('invalid-argument', `invalid MAC address: ${value}`);
  }
  return normal;
}
