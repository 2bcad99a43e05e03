/** Published ports as elements of the tables' maps, in the kernel's register form: every field padded to four bytes. */
import { isIP } from 'node:net';
import { addressBytes, addressFrom, addressText, parseAddress } from '../address.ts';
import type { MapElement } from '../netlink/index.ts';
import type { EndpointAddress, PortBinding } from '../types.ts';
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

/** Tells elements apart and shows them: `published_any tcp 8080 to 172.17.0.2:80`. */
export function elementText({ set, key, data }: MapElement): string {
  const protocol = Object.entries(protocolNumbers).find(([, number]) => number === key[0])?.[0] ?? key[0];
  const address = key.length > 8 ? `${shown(key.subarray(4, -4))}:` : '';
  const from = `${set} ${protocol} ${address}${key.readUInt16BE(key.length - 4)}`;
  if (data.length === 0) return from;
  return `${from} to ${shown(data.subarray(0, -4))}:${data.readUInt16BE(data.length - 4)}`;
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
