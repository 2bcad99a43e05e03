/** Published ports as elements of the table's maps, in the kernel's register form: every field padded to four bytes. */
import { isIPv4 } from 'node:net';
import { addressBytes, addressText, parseAddress } from '../address.ts';
import type { MapElement } from '../netlink/index.ts';
import type { PortBinding } from '../types.ts';
import { portMaps } from './ruleset.ts';

const protocolNumbers = { tcp: 6, udp: 17, sctp: 132 } as const;

/** One element per IPv4 binding; IPv6 ones have none. */
export function portElements(containerID: string, containerIP: string, bindings: readonly PortBinding[]): MapElement[] {
  return bindings
    .filter(({ hostIP }) => isIPv4(hostIP))
    .map(({ protocol, hostIP, hostPort, containerPort }) => {
      const any = hostIP === '0.0.0.0';
      const key = [byteField(protocolNumbers[protocol]), addressBytes(parseAddress(hostIP)), portField(hostPort)];
      return {
        set: any ? portMaps.any : portMaps.specific,
        key: Buffer.concat(any ? [key[0]!, key[2]!] : key),
        data: Buffer.concat([addressBytes(parseAddress(containerIP)), portField(containerPort)]),
        comment: containerID.slice(0, 12),
      };
    });
}

/** Tells elements apart and shows them: `published_any tcp 8080 to 172.17.0.2:80`. */
export function elementText({ set, key, data }: MapElement): string {
  const protocol = Object.entries(protocolNumbers).find(([, number]) => number === key[0])?.[0] ?? key[0];
  const address = key.length === 12 ? `${addressText(key.readUInt32BE(4))}:` : '';
  const hostPort = key.readUInt16BE(key.length - 4);
  return `${set} ${protocol} ${address}${hostPort} to ${addressText(data.readUInt32BE(0))}:${data.readUInt16BE(4)}`;
}

function byteField(value: number): Buffer {
  return Buffer.from([value, 0, 0, 0]);
}

function portField(port: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt16BE(port);
  return bytes;
}
