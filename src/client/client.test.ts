import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { fromBytes, readAll } from '#streams';
import { connect } from './index.ts';

type Answer = (request: IncomingMessage, response: ServerResponse, body: string) => void;

/** A daemon that says what the script says, and remembers what it was asked. */
async function scripted(answer: Answer) {
  const asked: string[] = [];
  const bodies: string[] = [];
  const server = createServer(async (request, response) => {
    const body = (await readAll(request, 1 << 20)).toString();
    asked.push(`${request.method} ${request.url}`);
    bodies.push(body);
    answer(request, response, body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const engine = connect(`tcp://127.0.0.1:${(server.address() as AddressInfo).port}`);
  return {
    engine,
    asked,
    bodies,
    async [Symbol.asyncDispose]() {
      await engine[Symbol.asyncDispose]();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const json =
  (status: number, value: unknown): Answer =>
  (_request, response) => {
    response.writeHead(status, { 'Content-Type': 'application/json' });
    response.end(JSON.stringify(value));
  };

test('calls become requests of the API', async () => {
  await using daemon = await scripted(json(200, []));
  const { images } = daemon.engine;
  await images.list({ all: true, filters: { label: ['a=b'] } });
  await images.history('host:5000/a/b:1');
  await images.tag('a', 'b', 'c');
  await images.remove('a@sha256:00', { force: true });
  assert.deepEqual(daemon.asked.map(decodeURIComponent), [
    'GET /v1.51/images/json?all=1&filters={"label":["a=b"]}',
    'GET /v1.51/images/host:5000/a/b:1/history',
    'POST /v1.51/images/a/tag?repo=b&tag=c',
    'DELETE /v1.51/images/a@sha256:00?force=1',
  ]);
});

test("a status is the kind it stands for, with the daemon's message", async () => {
  for (const [status, kind] of [
    [400, 'invalid-argument'],
    [404, 'not-found'],
    [409, 'conflict'],
    [500, 'unknown'],
    [501, 'not-implemented'],
  ] as const) {
    await using daemon = await scripted(json(status, { message: 'No such image: x' }));
    await assert.rejects(daemon.engine.images.inspect('x'), { kind, message: 'No such image: x' });
  }
});

test('answers that are no JSON are said as they are', async () => {
  await using plain = await scripted((_request, response) => response.writeHead(502).end('bad gateway\n'));
  await assert.rejects(plain.engine.images.list(), { kind: 'unknown', message: 'bad gateway' });
  await using broken = await scripted((_request, response) => response.end('{half'));
  await assert.rejects(broken.engine.images.list(), { kind: 'data-loss' });
});

test('pulls send name, tag and credentials apart, and end with the error the stream carries', async () => {
  await using daemon = await scripted((_request, response) => {
    response.write('{"status":"Pulling"}\r\n');
    response.end('{"errorDetail":{"message":"it broke"},"error":"it broke"}\r\n');
  });
  const seen: unknown[] = [];
  const pull = async (reference: string) => {
    for await (const message of daemon.engine.images.pull(reference)) seen.push(message.status);
  };
  await assert.rejects(pull('h:1/a:t'), { message: 'it broke' });
  await assert.rejects(pull('h:1/a'), { message: 'it broke' });
  await assert.rejects(pull('a:t@sha256:00'), { message: 'it broke' });
  assert.deepEqual(seen, ['Pulling', 'Pulling', 'Pulling']);
  assert.deepEqual(daemon.asked.map(decodeURIComponent), [
    'POST /v1.51/images/create?fromImage=h:1/a&tag=t',
    'POST /v1.51/images/create?fromImage=h:1/a&tag=latest',
    'POST /v1.51/images/create?fromImage=a&tag=sha256:00',
  ]);
});

test('archives are streamed up', async () => {
  await using daemon = await scripted((_request, response) => response.end('{"stream":"Loaded image: a:1\\n"}\r\n'));
  const lines = await Array.fromAsync(daemon.engine.images.load(fromBytes(Buffer.from('tar'))));
  assert.deepEqual(lines, [{ stream: 'Loaded image: a:1\n' }]);
  assert.deepEqual(daemon.bodies, ['tar']);
});

test('a daemon that is not there is unavailable', async () => {
  await using engine = connect('unix:///nowhere/wherry.sock');
  await assert.rejects(engine.images.list(), /nowhere\/wherry\.sock|ENOENT|connect/i);
});

test('a daemon that knows no listings is sent the tar; what else it does not find is said', async () => {
  const answer: Answer = (request, response) => {
    const [status, message] = request.url!.startsWith('/wherry/')
      ? [404, { message: 'page not found' }]
      : [200, { stream: 'built' }];
    json(status as number, message)(request, response, '');
  };
  await using old = await scripted(answer);
  const context = { listing: Buffer.from('a listing'), send: () => fromBytes(), tar: () => fromBytes('a tar') };
  assert.deepEqual(await Array.fromAsync(old.engine.buildListed(context, { t: ['x'] })), [{ stream: 'built' }]);
  assert.deepEqual(old.bodies, ['a listing', 'a tar']);
  assert.match(old.asked[1]!, /^POST \/v1\.51\/build\?t=x/);
  await using knowing = await scripted(json(404, { message: 'No such image: base' }));
  await assert.rejects(Array.fromAsync(knowing.engine.buildListed(context)), { message: 'No such image: base' });
  assert.equal(knowing.asked.length, 1);
});
