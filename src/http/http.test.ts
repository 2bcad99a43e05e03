import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { existsSync, linkSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { EngineError, isKind } from '#errdefs';
import { fromBytes, readAll } from '#streams';
import { temporaryFolder } from '#testing';
import {
  type Connection,
  type ExchangeHandler,
  HttpClient,
  type Listener,
  listen,
  NdjsonWriter,
  readBody,
  readNdjson,
  requestBody,
} from './index.ts';

async function serve(
  handler: ExchangeHandler,
): Promise<{ path: string; client: HttpClient; listener: Listener } & AsyncDisposable> {
  const folder = await temporaryFolder();
  const path = join(folder.path, 'x.sock');
  const listener = await listen(
    { kind: 'unix', path },
    { handler, mayUpgrade: (request) => request.url?.startsWith('/hijack') ?? false },
  );
  const client = new HttpClient({ kind: 'unix', path });
  return {
    path,
    client,
    listener,
    async [Symbol.asyncDispose]() {
      client[Symbol.dispose]();
      await listener.close();
      await folder[Symbol.asyncDispose]();
    },
  };
}

const echo: ExchangeHandler = async (exchange) => {
  const { request, response, upgrade } = exchange;
  const body = await readBody(requestBody(request), 1 << 20);
  if (!request.url?.startsWith('/hijack')) {
    response.end(body);
    return;
  }
  const connection = exchange.hijack();
  await connection.write(
    Buffer.from(
      upgrade ? 'HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n' : 'HTTP/1.1 200 OK\r\n\r\n',
    ),
  );
  await connection.write(Buffer.from(`body=${body};`));
  for await (const chunk of connection.input) await connection.write(chunk);
  await connection.end();
};

async function text(connection: Connection): Promise<string> {
  return (await readAll(connection.input, 64 << 20)).toString();
}

/** Bytes in, bytes out, until the server ends. */
function raw(path: string, parts: readonly string[], options: { halfClose?: boolean } = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path, allowHalfOpen: true });
    const got: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => got.push(chunk));
    socket.on('error', reject);
    socket.on('end', () => {
      socket.destroy();
      resolve(Buffer.concat(got).toString('latin1'));
    });
    const next = (at: number) => {
      if (at < parts.length) socket.write(parts[at]!, () => setTimeout(next, 15, at + 1));
      else if (options.halfClose) socket.end();
    };
    next(0);
  });
}

test('bodies go both ways, with a length or chunked', async () => {
  await using server = await serve(echo);
  for (const body of ['hello', fromBytes('hel', 'lo')]) {
    const response = await server.client.request({ method: 'POST', path: '/x', body });
    assert.equal(response.status, 200);
    assert.equal((await readAll(response.body, 100)).toString(), 'hello');
  }
});

test('a body that is lent comes whole, in two blocks that take turns', async () => {
  const sent = randomBytes(3 << 20);
  let received = Buffer.alloc(0);
  const blocks = new Set<ArrayBufferLike>();
  await using peer = await serve(async ({ request, response }) => {
    const copies: Buffer[] = [];
    for await (const chunk of requestBody(request, { lend: true })) {
      blocks.add(chunk.buffer);
      copies.push(Buffer.from(chunk));
    }
    received = Buffer.concat(copies);
    response.end();
  });
  for (const body of [sent, fromBytes(sent.subarray(0, 5), sent.subarray(5))]) {
    blocks.clear();
    const { status } = await peer.client.request({ method: 'PUT', path: '/', body });
    assert.deepEqual([status, received.equals(sent), blocks.size], [200, true, 2]);
  }
});

test('a lent body that is refused or broken off ends as any other', async () => {
  for (const lend of [false, true]) {
    const { promise: broken, resolve: caught } = Promise.withResolvers<unknown>();
    await using peer = await serve(async ({ request, response }) => {
      const body = requestBody(request, { lend });
      if (request.url === '/refuse') {
        for await (const _ of body) break;
        response.statusCode = 400;
        response.end('refused');
        return;
      }
      try {
        for await (const _ of body);
        caught('whole');
      } catch (error) {
        caught(error);
      }
    });
    const refused = await peer.client.request({ method: 'PUT', path: '/refuse', body: randomBytes(1 << 20) });
    assert.deepEqual([refused.status, (await readAll(refused.body, 100)).toString()], [400, 'refused']);
    const socket = connect(peer.path);
    socket.write('PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nshort');
    setTimeout(() => socket.destroy(), 50);
    assert.ok(isKind(await broken, 'canceled'));
  }
});

test('a lent body waits for its consumer', async () => {
  let atOnceBytes = 0;
  await using peer = await serve(async ({ request, response }) => {
    for await (const _ of requestBody(request, { lend: true })) {
      if (atOnceBytes > 0) continue;
      await new Promise((resolve) => setTimeout(resolve, 200));
      atOnceBytes = request.socket.bytesRead;
    }
    response.end();
  });
  const { status } = await peer.client.request({ method: 'PUT', path: '/', body: randomBytes(16 << 20) });
  assert.equal(status, 200);
  assert.ok(atOnceBytes > 0 && atOnceBytes < 4 << 20, `${atOnceBytes} bytes were read`);
});

test('a hijacked connection keeps the body, early bytes, and half-closes', async () => {
  await using server = await serve(echo);
  const answer = await server.client.hijack({ method: 'POST', path: '/hijack', body: '{}' });
  assert.ok('connection' in answer);
  assert.equal(answer.status, 101);
  const big = Buffer.alloc(3 << 20, 'x');
  const reading = text(answer.connection);
  await answer.connection.write(big);
  await answer.connection.end();
  assert.equal(await reading, `body={};${big}`);
  const early = await raw(
    server.path,
    [
      'POST /hijack HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 2\r\n\r\n{}early ',
      'late',
    ],
    { halfClose: true },
  );
  assert.match(early, /101 UPGRADED[\s\S]*\r\n\r\nbody={};early late$/);
});

test('a request without Upgrade is hijacked with 200', async () => {
  await using server = await serve(echo);
  const got = await raw(
    server.path,
    ['POST /hijack HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}', 'one ', 'two'],
    { halfClose: true },
  );
  assert.equal(got, 'HTTP/1.1 200 OK\r\n\r\nbody={};one two');
});

test('an Upgrade header elsewhere is ignored', async () => {
  await using server = await serve(echo);
  const answer = await server.client.hijack({ method: 'POST', path: '/plain', body: 'b', protocol: 'h2c' });
  assert.ok('refused' in answer);
  assert.equal((await readAll(answer.refused.body, 10)).toString(), 'b');
});

test('a refusal on an upgrade path is an ordinary response', async () => {
  await using server = await serve(async ({ response }) => {
    response.writeHead(409, { 'Content-Type': 'text/plain' });
    response.end('no');
  });
  const answer = await server.client.hijack({ method: 'POST', path: '/hijack' });
  assert.ok('refused' in answer);
  assert.equal(answer.refused.status, 409);
  assert.equal((await readAll(answer.refused.body, 10)).toString(), 'no');
});

test('an early refusal of an endless body reaches the client', async () => {
  await using server = await serve(async ({ request, response }) => {
    const error = await readBody(requestBody(request), 1000).catch((caught: unknown) => caught);
    assert.ok(error instanceof EngineError);
    response.statusCode = 400;
    response.end(error.message);
  });
  async function* endless() {
    while (true) yield Buffer.alloc(65536);
  }
  const response = await server.client.request({ method: 'POST', path: '/x', body: endless() });
  assert.equal(response.status, 400);
  assert.equal((await readAll(response.body, 100)).toString(), 'request body too large');
});

test('the signal fires when the client leaves', async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  await using server = await serve(async ({ response, signal }) => {
    response.writeHead(200);
    response.flushHeaders();
    signal.addEventListener('abort', () => resolve());
    await promise;
  });
  const controller = new AbortController();
  const response = await server.client.request({ method: 'GET', path: '/events', signal: controller.signal });
  setTimeout(() => controller.abort(), 20);
  await assert.rejects(readAll(response.body, 1), (error) => isKind(error, 'canceled'));
  await promise;
});

test('a connection that stays is not said to stay, one that ends is', async () => {
  await using server = await serve(async ({ response }) => void response.end('here'));
  const answers = async (...heads: string[]) => {
    const socket = connect({ path: server.path });
    socket.end(heads.map((head) => `GET /x HTTP/${head}\r\n\r\n`).join(''));
    return (await readAll(socket, 1 << 16)).toString();
  };
  const twice = await answers('1.1\r\nHost: x', '1.1\r\nHost: x');
  assert.equal(twice.match(/HTTP\/1.1 200 OK/g)?.length, 2);
  assert.doesNotMatch(twice, /Connection|Keep-Alive/i);
  assert.match(await answers('1.1\r\nHost: x\r\nConnection: close'), /\r\nConnection: close\r\n/);
  assert.match(await answers('1.0\r\nConnection: keep-alive'), /\r\nConnection: /);
});

test('a signal that is asked for after the client left has fired', async () => {
  const late = Promise.withResolvers<AbortSignal>();
  await using server = await serve(async (exchange) => {
    await new Promise((resolve) => exchange.response.once('close', resolve));
    late.resolve(exchange.signal);
  });
  const socket = connect({ path: server.path });
  socket.write('GET /x HTTP/1.1\r\nHost: x\r\n\r\n', () => setTimeout(() => socket.destroy(), 20));
  assert.equal((await late.promise).aborted, true);
});

test('a client that breaks off its body gives canceled, not a short body', async () => {
  const { promise, resolve } = Promise.withResolvers<unknown>();
  await using server = await serve(async ({ request }) => {
    resolve(await readBody(requestBody(request), 1000).catch((caught: unknown) => caught));
  });
  const socket = connect({ path: server.path });
  socket.write('POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc', () =>
    setTimeout(() => socket.destroy(), 20),
  );
  assert.ok(isKind(await promise, 'canceled'));
});

test('NDJSON arrives line by line', async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  await using server = await serve(async ({ response }) => {
    const writer = new NdjsonWriter(response);
    await writer.write({ n: 1 });
    await promise;
    await writer.write({ n: 2 });
    response.end();
  });
  const response = await server.client.request({ method: 'GET', path: '/' });
  const lines: unknown[] = [];
  for await (const value of readNdjson(response.body)) {
    lines.push(value);
    resolve();
  }
  assert.deepEqual(lines, [{ n: 1 }, { n: 2 }]);
});

test('a socket is 0660, a stale one is replaced, a live one and another file are not', async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, 'x.sock');
  const options = { handler: echo, mayUpgrade: () => false };
  const stale = createServer();
  await new Promise<void>((resolve) => stale.listen(path, resolve));
  // A daemon that is killed leaves its socket file: keep a second name and put it back after the close.
  linkSync(path, `${path}.kept`);
  await new Promise<void>((resolve) => stale.close(() => resolve()));
  renameSync(`${path}.kept`, path);
  await using listener = await listen({ kind: 'unix', path, group: 'no-such-group-x' }, options);
  assert.equal(statSync(path).mode & 0o777, 0o660);
  assert.equal(listener.groupFound, false);
  await assert.rejects(listen({ kind: 'unix', path }, options), (error) => isKind(error, 'conflict'));
  assert.ok(existsSync(path));
  const file = join(folder.path, 'file');
  writeFileSync(file, 'precious');
  await assert.rejects(listen({ kind: 'unix', path: file }, options), (error) => isKind(error, 'conflict'));
  assert.equal(statSync(file).size, 8);
  await listener.close();
  assert.ok(!existsSync(path));
});

test('close waits for what runs, then cuts hijacked connections', async () => {
  const started = Promise.withResolvers<void>();
  const release = Promise.withResolvers<void>();
  const server = await serve(async (exchange) => {
    const { request, response } = exchange;
    if (request.url === '/slow') {
      started.resolve();
      await release.promise;
      response.end('done');
      return;
    }
    const connection = exchange.hijack();
    await connection.write(Buffer.from('HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n'));
    await connection.closed;
  });
  const hijacked = await server.client.hijack({ method: 'POST', path: '/hijack' });
  assert.ok('connection' in hijacked);
  const slow = server.client.request({ method: 'GET', path: '/slow' });
  await started.promise;
  const closing = server.listener.close(5000);
  release.resolve();
  assert.equal((await readAll((await slow).body, 10)).toString(), 'done');
  await closing;
  await hijacked.connection.closed;
  await server[Symbol.asyncDispose]();
});

test('nobody there, and garbage, are told apart', async () => {
  const client = new HttpClient({ kind: 'unix', path: '/nonexistent/x.sock' });
  await assert.rejects(client.request({ method: 'GET', path: '/' }), (error) => {
    assert.ok(isKind(error, 'unavailable'));
    assert.match(String(error), /Cannot connect to the Docker daemon at unix:\/\/\/nonexistent\/x\.sock\./);
    return true;
  });
  await using server = await serve(echo);
  assert.match(await raw(server.path, ['garbage\r\n\r\n']), /^HTTP\/1\.1 400 Bad Request\r\n/);
});
