import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { EngineError } from '#errdefs';
import { type Packet, PacketSchema } from '../proto/fsutil_pb.ts';

/** What a packet of `DiffCopy` is, by its number. */
export const packetType = { stat: 0, request: 1, data: 2, end: 3, error: 4 } as const;

export function encodePacket(packet: MessageInitShape<typeof PacketSchema>): Uint8Array {
  return toBinary(PacketSchema, create(PacketSchema, packet));
}

/** @throws `invalid-argument` for what is no packet; the client's own words for an error of it */
export function decodePacket(bytes: Uint8Array): Packet {
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
