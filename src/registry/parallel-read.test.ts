import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { digestOf } from '#oci';
import { parseReference } from '#reference';
import { fromBytes, readAll } from '#streams';
import { createRegistryClient } from './index.ts';
import { type ParallelOptions, parallelRead } from './parallel-read.ts';

const pieceBytes = 64 << 10;
const blob = randomBytes(40 * pieceBytes + 12_345);
const digest = digestOf(blob);

/** A registry of one blob whose connections are slow. */
interface SlowServer extends AsyncDisposable {
  /** `Range` of every request for the blob. */
  readonly asked: (string | undefined)[];
  /** Connections that were sending at the same time, at most. */
  readonly most: () => number;
  /** Answers in its place. */
  before: (request: IncomingMessage, response: ServerResponse) => boolean;
  read(options?: Partial<ParallelOptions>): AsyncGenerator<Uint8Array>;
}

interface ServerOptions {
  /** Of one connection. */
  readonly bytesPerSecond?: number;
  readonly ignoresRanges?: boolean;
}

async function slowServer({ bytesPerSecond = 2e6, ignoresRanges = false }: ServerOptions = {}): Promise<SlowServer> {
  const asked: (string | undefined)[] = [];
  let sending = 0;
  let most = 0;
  const http = createServer(async (request, response) => {
    if (!request.url?.includes(digest)) return void response.end();
    asked.push(request.headers.range);
    if (server.before(request, response)) return;
    const [, first = '0', last = ''] =
      /^bytes=(\d+)-(\d*)$/.exec(ignoresRanges ? '' : (request.headers.range ?? '')) ?? [];
    const end = last === '' ? blob.length : Number(last) + 1;
    response.writeHead(request.headers.range && !ignoresRanges ? 206 : 200, {
      'content-length': end - Number(first),
      'content-range': `bytes ${first}-${end - 1}/${blob.length}`,
    });
    most = Math.max(most, ++sending);
    response.once('close', () => sending--);
    const step = 16 << 10;
    for (let at = Number(first); at < end && !response.destroyed; at += step) {
      await sleep((step / bytesPerSecond) * 1000);
      response.write(blob.subarray(at, Math.min(end, at + step)));
    }
    response.end();
  }).listen(0, '127.0.0.1');
  await once(http, 'listening');
  const client = createRegistryClient({ retry: { firstDelayMs: 1, maxDelayMs: 5, attempts: 3 } });
  const reference = parseReference(`127.0.0.1:${(http.address() as AddressInfo).port}/app`);
  const server: SlowServer = {
    asked,
    most: () => most,
    before: () => false,
    read: (options = {}) =>
      parallelRead((offset, piece) => client.blob(reference, digest, { ...options, offset, ...piece }), {
        what: 'fetch blob',
        sizeBytes: blob.length,
        connections: 4,
        pieceBytes,
        lookMs: 80,
        firstDelayMs: 1,
        ...options,
      }),
    async [Symbol.asyncDispose]() {
      await client[Symbol.asyncDispose]();
      http.closeAllConnections();
      http.close();
    },
  };
  return server;
}

const whole = (source: AsyncIterable<Uint8Array>) => readAll(source, 2 * blob.length);
const isSame = (bytes: Buffer, offset = 0) => assert.ok(bytes.equals(blob.subarray(offset)), 'byte for byte, in order');
const isPiece = (range: string | undefined) => /-\d+$/.test(range ?? '');

test('a blob whose connections are slow comes over several of them, in order', async () => {
  await using server = await slowServer();
  isSame(await whole(server.read()));
  // The first may still be ending.
  assert.ok(server.most() > 1 && server.most() <= 5, `${server.most()} connections`);
  const pieces = server.asked.filter(isPiece).length;
  assert.ok(pieces >= 10, `${pieces} pieces`);
  assert.equal(server.asked.length, pieces + 1);
  server.asked.length = 0;
  isSame(await whole(server.read({ connections: 1 })));
  assert.deepEqual(server.asked, [undefined]);
});

test('it goes on from what is known', async () => {
  await using server = await slowServer();
  const offset = 5 * pieceBytes + 17;
  isSame(await whole(server.read({ offset })), offset);
  assert.equal(server.asked[0], `bytes=${offset}-`);
  assert.ok(server.most() > 1);
});

test('a reader that is slower than the line gets one connection, and so does a small blob', async () => {
  await using server = await slowServer({ bytesPerSecond: 20e6 });
  const parts: Uint8Array[] = [];
  for await (const chunk of server.read()) {
    parts.push(chunk);
    await sleep((chunk.byteLength / 5e6) * 1000);
  }
  isSame(Buffer.concat(parts));
  isSame(await whole(server.read({ pieceBytes: blob.length / 2 })));
  assert.deepEqual(server.asked, [undefined, undefined]);
});

test('a server that ignores ranges is asked once, and read on', async () => {
  await using server = await slowServer({ ignoresRanges: true, bytesPerSecond: 8e6 });
  isSame(await whole(server.read()));
  assert.deepEqual(server.asked.map(isPiece), [false, true]);
});

for (const status of [403, 404, 416, 429, 500]) {
  test(`a server that answers pieces with ${status} is read over the connection it gave`, async () => {
    await using server = await slowServer({ bytesPerSecond: 8e6 });
    server.before = (request, response) => {
      if (!isPiece(request.headers.range)) return false;
      response.writeHead(status).end();
      return true;
    };
    isSame(await whole(server.read()));
    assert.equal(server.asked.filter((range) => !isPiece(range)).length, 1);
  });
}

test('connections that break, of pieces too, go on where they stopped', async () => {
  await using server = await slowServer();
  let broken = 0;
  server.before = (request, response) => {
    const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
    if (first === undefined || last === undefined || broken >= 12 || server.asked.length % 2 === 0) return false;
    broken++;
    const bytes = blob.subarray(Number(first), Number(last) + 1);
    response.writeHead(206, {
      'content-length': bytes.length,
      'content-range': `bytes ${first}-${last}/${blob.length}`,
    });
    response.write(bytes.subarray(0, 5000), () => setTimeout(() => response.socket?.destroy(), 5));
    return true;
  };
  isSame(await whole(server.read()));
  assert.ok(broken >= 5, `${broken} broken`);
});

test('a server that stops giving pieces half-way is read on over one connection', async () => {
  await using server = await slowServer();
  server.before = (request, response) => {
    if (!isPiece(request.headers.range) || server.asked.length < 10) return false;
    response.socket?.destroy();
    return true;
  };
  isSame(await whole(server.read()));
  assert.ok(server.asked.filter((range) => !isPiece(range)).length > 1);
});

test('wrong ranges and longer ones than asked for are not taken for the blob', async () => {
  await using server = await slowServer({ bytesPerSecond: 8e6 });
  server.before = (request, response) => {
    const first = Number(/^bytes=(\d+)-\d+$/.exec(request.headers.range ?? '')?.[1] ?? -1);
    if (first < 0) return false;
    const begin = server.asked.length % 2 === 0 ? first : first + 1;
    response.writeHead(206, { 'content-range': `bytes ${begin}-${blob.length - 1}/${blob.length}` });
    response.end(blob.subarray(begin));
    return true;
  };
  isSame(await whole(server.read()));
});

test('leaving early and aborting end every connection', async () => {
  await using server = await slowServer();
  const reading = server.read();
  let seen = 0;
  for await (const chunk of reading) if ((seen += chunk.byteLength) > 25 * pieceBytes) break;
  const controller = new AbortController();
  const reason = new Error('enough');
  setTimeout(() => controller.abort(reason), 300);
  await assert.rejects(whole(server.read({ signal: controller.signal })), reason);
  await sleep(50);
  const before = server.asked.length;
  await sleep(100);
  assert.equal(server.asked.length, before, 'nothing is asked for any more');
});

test('bytes in order are those that came, whatever the chunks', async () => {
  const open = async (offset: number, piece?: { end: number }) => ({
    source: fromBytes(blob.subarray(offset, piece?.end)),
    offset,
  });
  isSame(await whole(parallelRead(open, { what: 'x', sizeBytes: blob.length, connections: 4, pieceBytes, lookMs: 0 })));
});
