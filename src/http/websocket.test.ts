import assert from 'node:assert/strict';
import { Duplex } from 'node:stream';
import { test } from 'node:test';
import fc from 'fast-check';
import { Connection } from './connection.ts';
import { answerHandshake, WebSocketConnection } from './websocket.ts';

/** A client's frame. */
function frame(opcode: number, payload: Uint8Array, options: { final?: boolean; mask?: number[] } = {}): Buffer {
  const { final = true, mask = [1, 2, 3, 4] } = options;
  const size = payload.byteLength;
  const head = [(final ? 0x80 : 0) | opcode];
  if (size < 126) head.push(0x80 | size);
  else if (size < 0x10000) head.push(0x80 | 126, size >> 8, size & 0xff);
  else head.push(0x80 | 127, 0, 0, 0, 0, size >>> 24, (size >> 16) & 0xff, (size >> 8) & 0xff, size & 0xff);
  return Buffer.from([...head, ...mask, ...payload.map((byte, at) => byte ^ mask[at % 4]!)]);
}

/** A peer that sends these chunks and then stays; what it is sent is kept. */
function peer(chunks: readonly Uint8Array[]): { connection: WebSocketConnection; sent: () => Buffer; duplex: Duplex } {
  const sent: Buffer[] = [];
  const duplex = new Duplex({
    read() {},
    write(chunk: Buffer, _encoding, done) {
      sent.push(chunk);
      done();
    },
    final(done) {
      this.push(null);
      done();
    },
  });
  for (const chunk of chunks) duplex.push(chunk);
  return {
    connection: new WebSocketConnection(new Connection(duplex), 'binary'),
    sent: () => Buffer.concat(sent),
    duplex,
  };
}

async function received(chunks: readonly Uint8Array[]): Promise<{ input: Buffer; sent: Buffer }> {
  const { connection, sent } = peer(chunks);
  const input = Buffer.concat(await Array.fromAsync(connection.input));
  await connection[Symbol.asyncDispose]();
  return { input, sent: sent() };
}

const closed = (status: number) => Buffer.from([0x88, 2, status >> 8, status & 0xff]);

test('the handshake of RFC 6455, and what is none', () => {
  const good = {
    upgrade: 'WebSocket',
    connection: 'keep-alive, Upgrade',
    'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
    'sec-websocket-version': '13',
  };
  assert.deepEqual(answerHandshake({ ...good, 'sec-websocket-protocol': 'chat' }), {
    accepted: true,
    answer:
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
      'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\n\r\n',
  });
  const refusal = (change: Record<string, string | undefined>) => answerHandshake({ ...good, ...change }).answer;
  const begin = 'HTTP/1.1 400 Bad Request\r\n';
  assert.equal(refusal({ upgrade: 'tcp' }), `${begin}\r\nnot websocket protocol`);
  assert.equal(refusal({ connection: undefined }), `${begin}\r\nnot websocket protocol`);
  assert.equal(refusal({ 'sec-websocket-key': undefined }), `${begin}\r\nmismatch challenge/response`);
  const version = `${begin}Sec-WebSocket-Version: 13\r\n\r\nmissing or bad WebSocket Version`;
  assert.equal(refusal({ 'sec-websocket-version': '8' }), version);
  assert.equal(answerHandshake({ ...good, 'sec-websocket-protocol': 'a, b' }).accepted, false);
});

test('messages are bytes, however they are framed and cut', async () => {
  const message = fc.record({
    opcode: fc.constantFrom(1, 2),
    parts: fc.array(fc.oneof(fc.uint8Array({ maxLength: 200 }), fc.constant(new Uint8Array(70_000).fill(7))), {
      minLength: 1,
      maxLength: 3,
    }),
    ping: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(message, { maxLength: 4 }),
      fc.integer({ min: 1, max: 5000 }),
      async (messages, wanted) => {
        const frames: Uint8Array[] = [];
        let pings = 0;
        for (const { opcode, parts, ping } of messages) {
          for (const [at, part] of parts.entries()) {
            frames.push(frame(at === 0 ? opcode : 0, part, { final: at === parts.length - 1, mask: [at, 9, 200, 31] }));
            if (ping) frames.push(frame(9, Buffer.from(`p${pings++}`)));
          }
        }
        const bytes = Buffer.concat([...frames, frame(8, Buffer.of(3, 232))]);
        const cut = Math.max(wanted, Math.ceil(bytes.length / 500));
        const chunks = Array.from({ length: Math.ceil(bytes.length / cut) }, (_, at) =>
          bytes.subarray(at * cut, (at + 1) * cut),
        );
        const { input, sent } = await received(chunks);
        assert.ok(input.equals(Buffer.concat(messages.flatMap(({ parts }) => parts))));
        const pongs = Array.from({ length: pings }, (_, at) => {
          const text = Buffer.from(`p${at}`);
          return Buffer.concat([Buffer.of(0x8a, text.length), text]);
        });
        assert.deepEqual(sent, Buffer.concat([...pongs, closed(1000)]));
      },
    ),
    { numRuns: 40 },
  );
});

test('what breaks the protocol closes with 1002, and what came before it counts', async () => {
  const hello = frame(2, Buffer.from('hello'));
  const faults = [
    Buffer.from([0x82, 2, 1, 1]),
    frame(3, Buffer.from('x')),
    frame(0x42, Buffer.from('x')),
    frame(0, Buffer.from('x')),
    Buffer.concat([frame(1, Buffer.from(' you'), { final: false }), frame(2, Buffer.from('x'))]),
    frame(9, Buffer.alloc(126)),
    frame(9, Buffer.from('x'), { final: false }),
    Buffer.from([0x82, 0x80 | 127, 255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0]),
  ];
  for (const fault of faults) {
    const { input, sent } = await received([Buffer.concat([hello, fault, hello])]);
    assert.match(input.toString(), /^hello( you)?$/);
    assert.deepEqual(sent, closed(1002));
  }
});

test('each write is a message; disposing closes once', async () => {
  const { connection, sent } = peer([]);
  for (const size of [0, 3, 126, 70_000]) await connection.write(Buffer.alloc(size, 0x61));
  await connection[Symbol.asyncDispose]();
  await connection[Symbol.asyncDispose]();
  const long = Buffer.from([0x82, 127, 0, 0, 0, 0, 0, 1, 0x11, 0x70]);
  assert.deepEqual(
    sent(),
    Buffer.concat([
      Buffer.from([0x82, 3]),
      Buffer.alloc(3, 0x61),
      Buffer.from([0x82, 126, 0, 126]),
      Buffer.alloc(126, 0x61),
      long,
      Buffer.alloc(70_000, 0x61),
      closed(1000),
    ]),
  );
});

test('a client that is gone without a word ends the input', async () => {
  const { connection, duplex } = peer([frame(2, Buffer.from('cut off')).subarray(0, 9)]);
  duplex.push(null);
  assert.equal(Buffer.concat(await Array.fromAsync(connection.input)).toString(), 'cut');
});
