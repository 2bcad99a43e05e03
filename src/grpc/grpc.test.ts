import assert from 'node:assert/strict';
import { createServer, type Http2Server, type ServerHttp2Stream } from 'node:http2';
import { duplexPair } from 'node:stream';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { GrpcPeer } from './index.ts';

const signal = AbortSignal.timeout(20_000);

/** What the other side answers to any call: pieces of bytes, then trailers. */
async function answering(
  pieces: readonly Uint8Array[],
  trailers: Record<string, string> | undefined,
  work: (peer: GrpcPeer) => Promise<void>,
): Promise<void> {
  const [near, far] = duplexPair();
  const server: Http2Server = createServer();
  server.on('stream', async (stream: ServerHttp2Stream) => {
    stream.on('error', () => {});
    stream.respond({ ':status': 200 }, { waitForTrailers: true });
    stream.on('wantTrailers', () => (trailers ? stream.sendTrailers(trailers) : stream.close(8)));
    for (const piece of pieces) {
      stream.write(piece);
      await turn();
    }
    stream.end();
  });
  server.emit('connection', far);
  const peer = new GrpcPeer(near);
  try {
    await work(peer);
  } finally {
    peer.close();
    near.destroy();
    far.destroy();
  }
}

const frame = (text: string) => {
  const bytes = Buffer.alloc(5 + text.length);
  bytes.writeUInt32BE(text.length, 1);
  bytes.write(text, 5);
  return bytes;
};
const ok = { 'grpc-status': '0' };

async function read(peer: GrpcPeer): Promise<string[]> {
  using stream = peer.open('/a.B/C', { one: ['x', 'y'] }, signal);
  const found: string[] = [];
  for await (const message of stream.messages()) found.push(Buffer.from(message).toString());
  return found;
}

test('messages come whole, however they are cut', async () => {
  const texts = ['', 'a', 'b'.repeat(100_000), '', 'c'.repeat(70_000), 'd'];
  const bytes = Buffer.concat(texts.map(frame));
  for (const size of [3, 7, 16_384, bytes.length]) {
    const pieces: Buffer[] = [];
    const fine = size < 100 ? 400 : bytes.length;
    for (let at = 0; at < bytes.length; at += at < fine ? size : 50_000) {
      pieces.push(bytes.subarray(at, Math.min(bytes.length, at + (at < fine ? size : 50_000))));
    }
    await answering(pieces, ok, async (peer) => assert.deepEqual(await read(peer), texts, `${size}`));
  }
});

test('a call that ends badly says how', async () => {
  const failed = { 'grpc-status': '5', 'grpc-message': 'no%20such%20thing' };
  await answering([frame('a')], failed, async (peer) => {
    await assert.rejects(read(peer), { kind: 'not-found', message: 'no such thing' });
  });
  await answering([frame('abc').subarray(0, 6)], ok, async (peer) => {
    await assert.rejects(read(peer), /ended a call within a message/);
  });
  await answering([Buffer.from([0, 0xff, 0xff, 0xff, 0xff, 0])], ok, async (peer) => {
    await assert.rejects(read(peer), /a message of 4294967295 bytes/);
  });
  await answering([Buffer.from([1, 0, 0, 0, 0])], ok, async (peer) => {
    await assert.rejects(read(peer), /a compressed message/);
  });
  await answering([], undefined, async (peer) => {
    await assert.rejects(read(peer), /the client of the build has gone away/);
  });
});

test('a peer that is gone is called no more', async () => {
  await answering([frame('a')], ok, async (peer) => {
    peer.close();
    await peer.closed;
    assert.throws(() => peer.open('/a.B/C', {}, signal), { kind: 'unavailable' });
  });
});

test('headers may be as many as an ignore file has lines', async () => {
  const [near, far] = duplexPair();
  const server: Http2Server = createServer({ maxHeaderListPairs: 20_000, settings: { maxHeaderListSize: 8 << 20 } });
  let count = 0;
  server.on('stream', (stream: ServerHttp2Stream, _headers, _flags, raw) => {
    count = (raw as unknown as string[]).filter((name) => name === 'many').length;
    stream.respond({ ':status': 200, ...ok }, { endStream: true });
  });
  server.emit('connection', far);
  const peer = new GrpcPeer(near);
  using stream = peer.open('/a.B/C', { many: Array.from({ length: 5000 }, (_, at) => `a/pattern/${at}/**`) }, signal);
  await Array.fromAsync(stream.messages());
  assert.equal(count, 5000);
  peer.close();
});
