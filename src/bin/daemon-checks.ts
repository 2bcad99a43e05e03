import { isIP, isIPv4 } from 'node:net';
import { isVersionServed, minimumVersion, newestVersion } from '#api';
import { parseHost } from '#http';

/** One value of an option, as it is read. Each throws a plain Error whose message says what is wrong; the reader says with which option. */

export function checkAddress(value: string): void {
  if (isIP(value) === 0) throw new Error(`invalid string being converted to IP address: ${value}`);
}

export function checkApiVersion(value: string): void {
  if (isVersionServed(value)) return;
  throw new Error(`must be a version of the API between ${minimumVersion} and ${newestVersion}: ${value}`);
}

/** Ports are published from IPv4 networks. */
export function checkIPv4(value: string): void {
  checkAddress(value);
  if (!isIPv4(value)) throw new Error(`not an IPv4 address: ${value}`);
}

/** `192.168.1.5/24`: the address itself and its network's size. */
export function checkPrefix(value: string): void {
  const [address = '', bits, ...rest] = value.split('/');
  if (bits === undefined) throw new Error(`invalid CIDR address: ${value}: no '/'`);
  const largest = isIPv4(address) ? 32 : isIP(address) === 6 ? 128 : -1;
  if (rest.length > 0 || !/^\d{1,3}$/.test(bits) || Number(bits) > largest) {
    throw new Error(`invalid CIDR address: ${value}`);
  }
}

export function checkIPv6(value: string): void {
  checkAddress(value);
  if (isIPv4(value)) throw new Error(`not an IPv6 address: ${value}`);
}

export function checkIPv4Subnet(value: string): void {
  checkPrefix(value);
  if (value.includes(':')) throw new Error(`not an IPv4 subnet: ${value}`);
}

/** `fd00:1::/64` */
export function checkIPv6Subnet(value: string): void {
  checkPrefix(value);
  if (!value.includes(':')) throw new Error(`not an IPv6 subnet: ${value}`);
}

export function checkHost(value: string): void {
  parseHost(value);
}

export function checkLabel(value: string): void {
  if (!value.includes('=')) throw new Error(`bad attribute format: ${value}`);
}

export function checkMirror(value: string): void {
  const quoted = JSON.stringify(value);
  const must = "must use either 'https://' or 'http://'";
  const at = value.indexOf('://');
  if (at < 0) throw new Error(`invalid mirror: no scheme specified for ${quoted}: ${must}`);
  const scheme = value.slice(0, at);
  if (scheme !== 'http' && scheme !== 'https') {
    throw new Error(`invalid mirror: unsupported scheme ${JSON.stringify(scheme)} in ${quoted}: ${must}`);
  }
  if (!URL.canParse(value)) throw new Error(`invalid mirror: ${quoted} is not a valid URI`);
  const url = new URL(value);
  if (url.search !== '' || url.hash !== '') {
    throw new Error(`invalid mirror: query or fragment at end of the URI ${quoted}`);
  }
  if (url.username !== '' || url.password !== '') {
    throw new Error('invalid mirror: username/password not allowed in URI');
  }
}
