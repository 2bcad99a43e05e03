/** Published ports as elements of the tables' maps, in the kernel's register form: every field padded to four bytes. */
import { isIP } from 'node:net';
import { type Address, addressBytes, addressFrom, addressText, parseAddress, widthOf } from '../address.ts';
import type { MapElement } from '../netlink/index.ts';
import type { EndpointAddress, LinkedContainer, PortBinding } from '../types.ts';
import { portMaps } from './ruleset.ts';

const protocolNumbers = { tcp: 6, udp: 17, sctp: 132 } as const;

/**
 * One element per binding to an address of the container's of the same family, the others are carried by the daemon. Bindings without a host port open the
 * container's own.
 */
export function portElements(
  containerID: string,
  endpoint: { readonly ipAddress: string; readonly ipv6?: EndpointAddress },
  bindings: readonly PortBinding[],
): MapElement[] {
  const comment = containerID.slice(0, 12);
  return bindings.flatMap((binding): MapElement[] => {
    const host = parseAddress(binding.hostIP);
    const container = host.family === 4 ? endpoint.ipAddress : (endpoint.ipv6?.ipAddress ?? '');
    if (container === '') return [];
    const to = addressBytes(parseAddress(container));
    const protocol = byteField(protocolNumbers[binding.protocol]);
    const inside = portField(binding.containerPort);
    const common = { family: host.family, comment };
    if (binding.hostPort === 0) {
      return [{ ...common, set: portMaps.open, key: Buffer.concat([protocol, to, inside]), data: Buffer.alloc(0) }];
    }
    const outside = portField(binding.hostPort);
    const data = Buffer.concat([to, inside]);
    if (host.value === 0n) return [{ ...common, set: portMaps.any, key: Buffer.concat([protocol, outside]), data }];
    return [{ ...common, set: portMaps.specific, key: Buffer.concat([protocol, addressBytes(host), outside]), data }];
  });
}

/** For networks whose published ports are open at the container's own address as well: one element per port. */
export function directElements(
  containerID: string,
  endpoint: { readonly ipAddress: string; readonly ipv6?: EndpointAddress },
  bindings: readonly PortBinding[],
): MapElement[] {
  const published = bindings.filter(({ hostPort }) => hostPort !== 0);
  const open = published.map((binding) => ({ ...binding, hostPort: 0 }));
  const all = portElements(containerID, endpoint, open);
  return [...new Map(all.map((element) => [elementText(element), element])).values()];
}

/** One element per port of one container that is open to another's address. */
export function linkElements(
  containerID: string,
  from: Address,
  to: Address,
  ports: LinkedContainer['ports'],
): MapElement[] {
  return ports.map(({ port, protocol }) => ({
    family: from.family,
    comment: containerID.slice(0, 12),
    set: portMaps.linked,
    key: Buffer.concat([addressBytes(from), addressBytes(to), byteField(protocolNumbers[protocol]), portField(port)]),
    data: Buffer.alloc(0),
  }));
}

/** Tells elements apart and shows them: `published_any tcp 8080 to 172.17.0.2:80`. */
export function elementText({ family, set, key, data }: MapElement): string {
  if (set === portMaps.linked) {
    const width = widthOf(family) / 8;
    const port = key.readUInt16BE(key.length - 4);
    const to = `${shown(key.subarray(width, 2 * width))}:${port}`;
    return `${set} ${shown(key.subarray(0, width))} to ${protocolName(key[2 * width])} ${to}`;
  }
  const protocol = protocolName(key[0]);
  const address = key.length > 8 ? `${shown(key.subarray(4, -4))}:` : '';
  const from = `${set} ${protocol} ${address}${key.readUInt16BE(key.length - 4)}`;
  if (data.length === 0) return from;
  return `${from} to ${shown(data.subarray(0, -4))}:${data.readUInt16BE(data.length - 4)}`;
}

function protocolName(number: number | undefined): string {
  return Object.entries(protocolNumbers).find(([, known]) => known === number)?.[0] ?? String(number);
}

function shown(bytes: Buffer): string {
  const text = addressText(addressFrom(bytes));
  return isIP(text) === 6 ? `[${text}]` : text;
}

function byteField(value: number): Buffer {
  return Buffer.from([value, 0, 0, 0]);
}

function portField(port: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt16BE(port);
  return bytes;
}
