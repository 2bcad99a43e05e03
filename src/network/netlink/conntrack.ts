/** Tracked UDP flows over NETLINK_NETFILTER (include/uapi/linux/netfilter/nfnetlink_conntrack.h). */
import { addressFrom, addressText, type Family } from '../address.ts';
import { decodeAttributes, decodeMessages, encodeMessage, messageFlags, nested } from './message.ts';
import type { Datagram } from './route.ts';

const conntrackSubsystem = 1;
const get = 1;
const remove = 2;
const headers: Readonly<Record<Family, Buffer>> = { 4: Buffer.from([2, 0, 0, 0]), 6: Buffer.from([10, 0, 0, 0]) };
const tuple = { original: 1, reply: 2 } as const;
const tupleAddresses = 1;
const tupleProtocol = 2;
const addresses = { source: 1, source6: 3 } as const;
const protocol = { number: 1, destinationPort: 3 } as const;
const udp = 17;

export function listFlows(family: Family): Datagram {
  const { request, dump } = messageFlags;
  return {
    bytes: encodeMessage((conntrackSubsystem << 8) | get, request | dump, headers[family]),
    acks: 1,
    patches: [],
  };
}

/** A tracked UDP flow: where it was sent, where its replies come from, and what names it to the kernel. */
export interface UdpFlow {
  readonly family: Family;
  readonly sentToPort: number;
  readonly answeredBy: string;
  readonly original: Buffer;
}

export function decodeUdpFlows(answer: Buffer): UdpFlow[] {
  return decodeMessages(answer).flatMap(({ payload }) => {
    const attributes = decodeAttributes(payload.subarray(4));
    const original = attributes.get(tuple.original);
    const sent = original && decodeAttributes(decodeAttributes(original).get(tupleProtocol) ?? none);
    const reply = decodeAttributes(decodeAttributes(attributes.get(tuple.reply) ?? none).get(tupleAddresses) ?? none);
    const source = reply.get(addresses.source) ?? reply.get(addresses.source6);
    const port = sent?.get(protocol.destinationPort);
    if (!original || sent?.get(protocol.number)?.[0] !== udp || !source || port?.length !== 2) return [];
    const answeredBy = addressFrom(source);
    const { family } = answeredBy;
    return [{ family, sentToPort: port.readUInt16BE(0), answeredBy: addressText(answeredBy), original }];
  });
}

const none = Buffer.alloc(0);

export function deleteFlows(flows: readonly UdpFlow[]): Datagram {
  const { request, ack } = messageFlags;
  const messages = flows.map(({ family, original }) =>
    encodeMessage((conntrackSubsystem << 8) | remove, request | ack, headers[family], nested(tuple.original, original)),
  );
  return { bytes: Buffer.concat(messages), acks: messages.length, patches: [] };
}
