import assert from 'node:assert/strict';
import { randomBytes, randomInt } from 'node:crypto';
import { test } from 'node:test';
import { fromBinary } from '@bufbuild/protobuf';
import { PacketSchema } from '../proto/fsutil_pb.ts';
import { decodePacket, encodePacket, encodeRequest, packetType } from './packets.ts';

const numbers = [0, 1, 127, 128, 16_383, 16_384, 2 ** 21, 2 ** 28 - 1, 2 ** 28, 2 ** 31, 2 ** 32 - 1];

test('requests are written as the protocol has them', () => {
  for (const id of numbers) {
    const { type, id: read } = fromBinary(PacketSchema, encodeRequest(id));
    assert.deepEqual([type, read], [packetType.request, id]);
  }
});

test('data is read as the protocol has it, of any number and length', () => {
  for (const id of numbers) {
    for (const size of [0, 1, 127, 128, 32 << 10, 1 << 20]) {
      const sent = randomBytes(size);
      const { type, id: read, data } = decodePacket(encodePacket({ type: packetType.data, id, data: sent }));
      assert.deepEqual([type, read], [packetType.data, id]);
      assert.ok(Buffer.from(data).equals(sent), `${size} bytes of file ${id}`);
    }
  }
});

test('whatever bytes come, they are what the library takes them for, or no packet', () => {
  const packet = encodePacket({ type: packetType.data, id: 300, data: randomBytes(200) });
  let packets = 0;
  for (let round = 0; round < 20_000; round++) {
    const bytes = Buffer.from(packet.subarray(0, packet.byteLength - (round % 3 === 0 ? randomInt(20) : 0)));
    for (let change = randomInt(3); change > 0 && bytes.length > 0; change--) {
      bytes[randomInt(Math.min(12, bytes.length))] = randomInt(256);
    }
    const wanted = outcome(() => {
      const { type, id, data } = fromBinary(PacketSchema, bytes);
      if (type === packetType.error) throw new Error('told by the client');
      return [type, id, Buffer.from(data).toString('hex')];
    });
    const got = outcome(() => {
      const { type, id, data } = decodePacket(bytes);
      return [type, id, Buffer.from(data).toString('hex')];
    });
    assert.deepEqual(got, wanted, bytes.toString('hex'));
    if (wanted) packets++;
  }
  assert.ok(packets > 1000 && packets < 19_000, `${packets} of them were packets`);
});

function outcome<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}
