import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { EngineError } from '#errdefs';
import type { PeerStream } from '#grpc';
import { type Packet, PacketSchema } from '../proto/fsutil_pb.ts';

/** What a packet of `DiffCopy` is, by its number. */
export const packetType = { stat: 0, request: 1, data: 2, end: 3, error: 4 } as const;

/** Tags of a packet's fields: type, number of the file, bytes. */
const tags = { type: 0x08, id: 0x18, data: 0x22 } as const;

export function encodePacket(packet: MessageInitShape<typeof PacketSchema>): Uint8Array {
  return toBinary(PacketSchema, create(PacketSchema, packet));
}

/** Asks for a file by its number. */
export function encodeRequest(id: number): Uint8Array {
  const bytes: number[] = [tags.type, packetType.request, tags.id];
  let left = id;
  for (; left > 0x7f; left = Math.floor(left / 0x80)) bytes.push((left & 0x7f) | 0x80);
  return Uint8Array.of(...bytes, left);
}

export type ReadPacket = Pick<Packet, 'type' | 'id' | 'stat' | 'data'>;

/** @throws `invalid-argument` for what is no packet; the client's own words for an error of it */
export function decodePacket(bytes: Uint8Array): ReadPacket {
  const data = decodeData(bytes);
  if (data) return data;
  let packet: Packet;
  try {
    packet = fromBinary(PacketSchema, bytes);
  } catch (cause) {
    throw new EngineError('invalid-argument', 'build context: not a packet', { cause });
  }
  if (packet.type === packetType.error) {
    throw new EngineError('unknown', `error from sender: ${Buffer.from(packet.data).toString()}`);
  }
  return packet;
}

const noData = new Uint8Array(0);

/** A packet of data in the form that clients write it, of which a context has tens of thousands; undefined for any other. */
function decodeData(bytes: Uint8Array): ReadPacket | undefined {
  if (bytes[0] !== tags.type || bytes[1] !== packetType.data) return undefined;
  const field = { at: 2, value: 0 };
  let id = 0;
  if (bytes[field.at] === tags.id) {
    if (!readNumber(bytes, field)) return undefined;
    id = field.value;
  }
  if (field.at === bytes.byteLength) return { type: packetType.data, id, data: noData };
  if (bytes[field.at] !== tags.data || !readNumber(bytes, field)) return undefined;
  if (field.at + field.value !== bytes.byteLength) return undefined;
  return { type: packetType.data, id, data: bytes.subarray(field.at) };
}

/** The number behind a tag, of at most 28 bits. */
function readNumber(bytes: Uint8Array, field: { at: number; value: number }): boolean {
  field.value = 0;
  for (let shift = 0, at = field.at + 1; shift < 28; shift += 7, at++) {
    const byte = bytes[at];
    if (byte === undefined) return false;
    field.value += (byte & 0x7f) << shift;
    if (byte < 0x80) {
      field.at = at + 1;
      return true;
    }
  }
  return false;
}

/** The packets of a call, one after the other: no turn of the event loop for those that have come already. */
export class Packets implements Disposable {
  readonly #reader: ReturnType<PeerStream['reader']>;

  constructor(stream: PeerStream) {
    this.#reader = stream.reader();
  }

  /** One that has come; its bytes are the reader's until he asks again. */
  here(): ReadPacket | undefined {
    const message = this.#reader.here();
    return message && decodePacket(message);
  }

  /** Undefined at the end. */
  async next(): Promise<ReadPacket | undefined> {
    while (true) {
      const packet = this.here();
      if (packet) return packet;
      if (!(await this.#reader.wait())) return undefined;
    }
  }

  [Symbol.dispose](): void {
    this.#reader[Symbol.dispose]();
  }
}
