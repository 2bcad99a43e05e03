/** What a container's resolver knows itself: names and addresses of the networks it is on. Everything else is for the servers outside. */
import { isIP } from 'node:net';
import {
  type Answer,
  type DecodedPacket,
  decode,
  encode,
  type Packet,
  type Question,
  RECURSION_AVAILABLE,
} from 'dns-packet';
import { addressFrom, addressText } from '../address.ts';

/** Names as one container sees them. */
export interface NameView {
  /** Empty: the name is nobody's here. */
  addressesOf(name: string): readonly string[];
  /** `name.network` of an address. */
  nameOf(address: string): string | undefined;
}

/** As dockerd's: long enough to save questions, and containers that move keep their names' addresses for no longer. */
const ttlSeconds = 600;
const plainUdpBytes = 512;
const truncatedFlag = 1 << 9;
const rcodes = { formatError: 1, serverFailure: 2 } as const;

/** A query, decoded as far as it is needed. Undefined for what is none: a resolver answers no garbage. */
export function parseQuery(bytes: Buffer): DecodedPacket | undefined {
  try {
    const packet = decode(bytes);
    return packet.type === 'query' && packet.questions?.length === 1 ? packet : undefined;
  } catch {
    return undefined;
  }
}

/** The answer to a query about something known here. Undefined: ask outside. */
export function answerLocally(query: DecodedPacket, view: NameView): Packet | undefined {
  const question = query.questions![0]!;
  const answers = answersTo(question, view);
  return answers && { ...replyTo(query), answers };
}

function answersTo({ name, type }: Question, view: NameView): Answer[] | undefined {
  if (type === 'PTR') {
    const address = addressOfPointer(name);
    const target = address === undefined ? undefined : view.nameOf(address);
    return target === undefined ? undefined : [{ type: 'PTR', name, ttl: ttlSeconds, data: target }];
  }
  if (type !== 'A' && type !== 'AAAA' && type !== 'MX') return undefined;
  const addresses = view.addressesOf(name.replace(/\.$/, ''));
  if (addresses.length === 0) return undefined;
  // A name of ours without an address of the kind asked for is an empty answer: asked outside, it would be somebody else's.
  if (type === 'MX') return [];
  const family = type === 'A' ? 4 : 6;
  const ofFamily = addresses.filter((address) => isIP(address) === family);
  return shuffled(ofFamily).map((data) => ({ type, name, ttl: ttlSeconds, data }));
}

/** `2.0.18.172.in-addr.arpa` is 172.18.0.2 (RFC 1035 §3.5); 32 digits before `ip6.arpa` are an IPv6 address (RFC 3596 §2.5). */
function addressOfPointer(name: string): string | undefined {
  const labels = /^((?:\d{1,3}\.){4})in-addr\.arpa\.?$/i.exec(name)?.[1];
  if (labels !== undefined) return labels.slice(0, -1).split('.').reverse().join('.');
  const digits = /^((?:[0-9a-f]\.){32})ip6\.arpa\.?$/i.exec(name)?.[1];
  return (
    digits && addressText(addressFrom(Buffer.from(digits.replaceAll('.', '').split('').reverse().join(''), 'hex')))
  );
}

/** Who shares a name shares the work: each answer begins with another. */
function shuffled(addresses: readonly string[]): string[] {
  const start = Math.floor(Math.random() * addresses.length);
  return [...addresses.slice(start), ...addresses.slice(0, start)];
}

function replyTo(query: DecodedPacket): Packet {
  return {
    type: 'response',
    id: query.id ?? 0,
    flags: ((query.flags ?? 0) & 0x0100) | RECURSION_AVAILABLE,
    questions: query.questions ?? [],
  };
}

export function failure(query: DecodedPacket): Packet {
  const reply = replyTo(query);
  return { ...reply, flags: (reply.flags ?? 0) | rcodes.serverFailure };
}

/** The bytes of an answer; over UDP no more than the asker takes, with the flag that sends it to TCP for the rest (RFC 2181 §9). */
export function encodeAnswer(answer: Packet, query: DecodedPacket, transport: 'udp' | 'tcp'): Buffer {
  const bytes = encode(answer);
  if (transport === 'tcp' || bytes.length <= udpLimit(query)) return bytes;
  const answers = answer.answers ?? [];
  const fewer = answers.slice(0, Math.floor(answers.length / 2));
  return encodeAnswer({ ...answer, answers: fewer, flags: (answer.flags ?? 0) | truncatedFlag }, query, transport);
}

function udpLimit(query: DecodedPacket): number {
  const option = query.additionals?.find((record) => record.type === 'OPT');
  return option?.type === 'OPT' ? Math.max(plainUdpBytes, option.udpPayloadSize) : plainUdpBytes;
}
