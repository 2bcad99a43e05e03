import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { open, writeFile } from 'node:fs/promises';
import { createServer, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { isKind } from '#errdefs';
import { temporaryFolder } from '#testing';
import { FileSender } from './file-sender.ts';

const bytes = randomBytes(6 << 20);

interface Served {
  readonly port: number;
  readonly path: string;
  /** What {@link FileSender.send} said, one by one. */
  readonly said: boolean[];
}

/** Answers `/FIRST-LAST` with that part of a file. */
async function withFile(body: (served: Served) => Promise<void>): Promise<void> {
  await using folder = await temporaryFolder();
  const path = join(folder.path, 'file');
  await writeFile(path, bytes);
  await using sender = new FileSender();
  const said: boolean[] = [];
  const answer = async (url: string, response: ServerResponse) => {
    const [first = 0, last = bytes.length - 1] = (url.match(/\d+/g) ?? []).map(Number);
    const length = last + 1 - first;
    const headers = { 'Content-Length': length };
    said.push(
      await sender.send(response, { status: 200, headers, range: { offset: first, length }, open: () => open(path) }),
    );
    if (!said.at(-1)) response.end('by hand');
  };
  const server = createServer((request, response) => void answer(request.url!, response)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    await body({ port: (server.address() as AddressInfo).port, path, said });
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

async function get(port: number, path = '/'): Promise<Buffer> {
  return Buffer.from(await (await fetch(`http://127.0.0.1:${port}${path}`)).arrayBuffer());
}

/** What comes back for requests that are written as they are. */
async function raw(port: number, text: string, wantedBytes: number): Promise<Buffer> {
  const socket = connect(port, '127.0.0.1');
  socket.write(text);
  const parts: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    parts.push(chunk);
    sizeBytes += chunk.length;
    if (sizeBytes >= wantedBytes) break;
  }
  return Buffer.concat(parts);
}

function descriptors(): number {
  return readdirSync('/proc/self/fd').length;
}

test('files and parts of them arrive, many at once and one after another on a connection', () =>
  withFile(async ({ port, said }) => {
    assert.ok((await get(port)).equals(bytes));
    assert.ok((await get(port, '/1234567-4234567')).equals(bytes.subarray(1_234_567, 4_234_568)));
    const many = await Promise.all(Array.from({ length: 12 }, () => get(port)));
    assert.ok(many.every((one) => one.equals(bytes)));
    assert.ok(said.every(Boolean));
  }));

test('small ones are left to the caller', () =>
  withFile(async ({ port, said }) => {
    assert.equal((await get(port, '/0-99')).toString(), 'by hand');
    assert.deepEqual(said, [false]);
  }));

test('a request that was sent before the answer to the first came is answered after it', () =>
  withFile(async ({ port }) => {
    const request = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n';
    const all = await raw(port, request + request.replace(' / ', ' /nothing '), bytes.length + 200);
    const start = all.indexOf('\r\n\r\n') + 4;
    assert.ok(all.subarray(start, start + bytes.length).equals(bytes));
    assert.match(all.subarray(start + bytes.length).toString('latin1'), /^HTTP\/1.1 200 OK/);
  }));

test('a client that reads slowly gets everything, and holds nobody up', () =>
  withFile(async ({ port }) => {
    const slow = connect(port, '127.0.0.1');
    slow.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    await once(slow, 'readable');
    assert.ok((await get(port)).equals(bytes));
    const all = Buffer.concat(await slow.toArray());
    assert.ok(all.subarray(all.indexOf('\r\n\r\n') + 4).equals(bytes));
  }));

test('clients that leave half-way take their descriptors with them', () =>
  withFile(async ({ port }) => {
    await get(port);
    const before = descriptors();
    const leave = async () => {
      const socket: Socket = connect(port, '127.0.0.1');
      socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
      await once(socket, 'readable');
      socket.resetAndDestroy();
    };
    await Promise.all(Array.from({ length: 20 }, leave));
    for (let tries = 0; tries < 100 && descriptors() > before; tries++) await sleep(20);
    assert.ok(descriptors() <= before, `${descriptors()} descriptors, ${before} before`);
    assert.ok((await get(port)).equals(bytes));
  }));

test('a file that is shorter than it should be is not passed off as whole', () =>
  withFile(async ({ port, path }) => {
    await writeFile(path, bytes.subarray(0, 3 << 20));
    await assert.rejects(get(port));
  }));

test('runs of a file go between what is written of an answer, chunked or not', async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, 'file');
  const large = Buffer.concat([bytes, bytes]);
  await writeFile(path, large);
  await using file = await open(path);
  await using sender = new FileSender();
  const said: boolean[] = [];
  const server = createServer(async (_request, response) => {
    response.writeHead(200, { Connection: 'close' });
    response.write('before ');
    said.push(await sender.append(response, { fd: file.fd, offset: 1, lengthBytes: large.length - 2 }));
    response.write(' between ');
    said.push(await sender.append(response, { fd: file.fd, offset: 0, lengthBytes: 2 << 20 }));
    said.push(await sender.append(response, { fd: file.fd, offset: 0, lengthBytes: 100 }));
    response.end(' after');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const wanted = Buffer.concat([
    Buffer.from('before '),
    large.subarray(1, -1),
    Buffer.from(' between '),
    large.subarray(0, 2 << 20),
    Buffer.from(' after'),
  ]);
  try {
    assert.ok((await get(port)).equals(wanted));
    const plain = await raw(port, 'GET / HTTP/1.0\r\n\r\n', Number.POSITIVE_INFINITY);
    assert.ok(plain.subarray(plain.indexOf('\r\n\r\n') + 4).equals(wanted));
    assert.deepEqual(said, [true, true, false, true, true, false]);
  } finally {
    server.close();
  }
});

test('an answer whose client leaves breaks off', async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, 'file');
  await writeFile(path, bytes);
  await using file = await open(path);
  await using sender = new FileSender();
  const { promise: failed, resolve: fail } = Promise.withResolvers<unknown>();
  const server = createServer(async (_request, response) => {
    response.writeHead(200);
    try {
      while (true) await sender.append(response, { fd: file.fd, offset: 0, lengthBytes: bytes.length });
    } catch (error) {
      fail(error);
    }
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
    socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    await once(socket, 'readable');
    socket.resetAndDestroy();
    assert.ok(isKind(await failed, 'canceled'));
  } finally {
    server.closeAllConnections();
    server.close();
  }
});
