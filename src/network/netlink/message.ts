/**
 * Netlink's framing (RFC 3549 §2.2, include/uapi/linux/netlink.h): messages of a 16-byte header and a payload, attributes as
 * length-type-value padded to 4 bytes. Host byte order is little-endian on every machine this runs on.
 */
import { EngineError } from '#errdefs';

export const messageFlags = {
  request: 1,
  multi: 2,
  ack: 4,
  dump: 0x300,
  replace: 0x100,
  exclusive: 0x200,
  create: 0x400,
  append: 0x800,
} as const;

const messageError = 2;
const messageDone = 3;
const headerBytes = 16;
const nestedFlag = 0x8000;
const typeMask = 0x3fff;
const ackTlvs = 0x200;

/** One message as sent: header and payload. Sequence numbers are not used: every exchange has its own socket. */
export function encodeMessage(type: number, flags: number, ...payload: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(payload);
  const bytes = Buffer.alloc(headerBytes + align(body.length));
  bytes.writeUInt32LE(headerBytes + body.length, 0);
  bytes.writeUInt16LE(type, 4);
  bytes.writeUInt16LE(flags, 6);
  body.copy(bytes, headerBytes);
  return bytes;
}

export function attribute(type: number, value: Uint8Array): Buffer {
  const bytes = Buffer.alloc(align(4 + value.length));
  bytes.writeUInt16LE(4 + value.length, 0);
  bytes.writeUInt16LE(type, 2);
  bytes.set(value, 4);
  return bytes;
}

export function nested(type: number, ...attributes: readonly Uint8Array[]): Buffer {
  return attribute(type | nestedFlag, Buffer.concat(attributes));
}

/** rtnetlink predates the nested flag: its nests carry none, as iproute2 sends them. */
export function plainNested(type: number, ...attributes: readonly Uint8Array[]): Buffer {
  return attribute(type, Buffer.concat(attributes));
}

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value | 0);
  return bytes;
}

export function be16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

/** A string with its NUL. */
export const text = (value: string): Buffer => Buffer.from(`${value}\0`, 'utf8');

export interface Message {
  readonly type: number;
  readonly flags: number;
  readonly payload: Buffer;
}

/** The messages of an answer, without acknowledgements and ends of dumps. */
export function decodeMessages(answer: Buffer): Message[] {
  return split(answer).filter(({ type }) => type !== messageError && type !== messageDone);
}

/** What the kernel said about the first message it refused, if it said anything (netlink's extended acknowledgement). */
export function refusalText(answer: Buffer): string | undefined {
  for (const { type, flags, payload } of split(answer)) {
    if (type !== messageError || payload.length < 4 || payload.readInt32LE(0) === 0) continue;
    if ((flags & ackTlvs) === 0) return undefined;
    const message = decodeAttributes(payload.subarray(4 + headerBytes)).get(1);
    return message && decodeText(message);
  }
  return undefined;
}

function split(answer: Buffer): Message[] {
  const messages: Message[] = [];
  for (let at = 0; at + headerBytes <= answer.length; ) {
    const sizeBytes = answer.readUInt32LE(at);
    if (sizeBytes < headerBytes || at + sizeBytes > answer.length) {
      throw new EngineError('internal', `read netlink answer: message of ${sizeBytes} bytes at ${at}`);
    }
    messages.push({
      type: answer.readUInt16LE(at + 4),
      flags: answer.readUInt16LE(at + 6),
      payload: answer.subarray(at + headerBytes, at + sizeBytes),
    });
    at += align(sizeBytes);
  }
  return messages;
}

/** Attributes by type; the last of a repeated one wins. */
export function decodeAttributes(bytes: Buffer): Map<number, Buffer> {
  return new Map(listAttributes(bytes));
}

/** Attributes in order, for lists whose elements share a type. */
export function listAttributes(bytes: Buffer): [number, Buffer][] {
  const attributes: [number, Buffer][] = [];
  for (let at = 0; at + 4 <= bytes.length; ) {
    const sizeBytes = bytes.readUInt16LE(at);
    if (sizeBytes < 4 || at + sizeBytes > bytes.length) {
      throw new EngineError('internal', `read netlink answer: attribute of ${sizeBytes} bytes`);
    }
    attributes.push([bytes.readUInt16LE(at + 2) & typeMask, bytes.subarray(at + 4, at + sizeBytes)]);
    at += align(sizeBytes);
  }
  return attributes;
}

export function decodeText(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString('utf8', 0, end < 0 ? bytes.length : end);
}

function align(sizeBytes: number): number {
  return (sizeBytes + 3) & ~3;
}
