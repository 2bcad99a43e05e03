import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeAnswer, encodeCall, messageBytes } from './bus-message.ts';

/** As a bus sends it: header fields of an answer to call 7, and a body. */
function answered(type: number, fields: string, body: string): Buffer {
  const header = Buffer.from(fields, 'latin1');
  const content = Buffer.from(body, 'latin1');
  const head = Buffer.alloc(16);
  head.set([0x6c, type, 1, 1]);
  head.writeUInt32LE(content.length, 4);
  head.writeUInt32LE(header.length, 12);
  return Buffer.concat([head, header, Buffer.alloc((8 - (header.length % 8)) % 8), content]);
}

const toSeven = '\x05\x01u\0\x07\0\0\0';

test('a call has its fields at multiples of eight, and its strings at multiples of four', () => {
  const call = { destination: 'a.b', path: '/a', interface: 'a.b.c', member: 'do', arguments: ['x', 'yz'] };
  const bytes = encodeCall(3, call);
  assert.equal(messageBytes(bytes), bytes.length);
  assert.equal(bytes.readUInt32LE(8), 3);
  assert.equal(bytes.subarray(16, 27).toString('latin1'), '\x01\x01o\0\x02\0\0\0/a\0');
  assert.equal(bytes.subarray(32, 46).toString('latin1'), '\x02\x01s\0\x05\0\0\0a.b.c\0');
  assert.equal(bytes.subarray(-15).toString('latin1'), '\x01\0\0\0x\0\0\0\x02\0\0\0yz\0');
});

test('an answer is a string, a list of strings, or an error with its name', () => {
  const one = answered(2, `${toSeven}\x08\x01g\0\x01s\0`, '\x03\0\0\0abc\0');
  assert.deepEqual(decodeAnswer(one), { serial: 7, error: undefined, strings: ['abc'] });
  const list = answered(2, `${toSeven}\x08\x01g\0\x02as\0`, '\x13\0\0\0\x03\0\0\0abc\0\x06\0\0\0public\0');
  assert.deepEqual(decodeAnswer(list)?.strings, ['abc', 'public']);
  const error = answered(3, `${toSeven}\x04\x01s\0\x03\0\0\0x.y\0\0\0\0\0\x08\x01g\0\x01s\0`, '\x02\0\0\0no\0');
  assert.deepEqual(decodeAnswer(error), { serial: 7, error: 'x.y', strings: ['no'] });
  assert.equal(decodeAnswer(answered(4, toSeven, '')), undefined, 'a signal answers nothing');
  assert.equal(messageBytes(one.subarray(0, 15)), undefined);
});
