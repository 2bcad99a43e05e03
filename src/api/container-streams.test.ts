import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import type { AttachedStreams } from '#api-types';
import { EngineError } from '#errdefs';
import { encodeFrame } from '#http';
import { serveScript } from './testsuite/serve.ts';

const upgrade = 'Connection: Upgrade\r\nUpgrade: tcp\r\n';
const frame = (stream: 'stdout' | 'stderr' | 'system', text: string) =>
  encodeFrame(stream, Buffer.from(text)).toString('latin1');
const body = (answer: string) => answer.slice(answer.indexOf('\r\n\r\n') + 4);
const post = (path: string, headers = '', text = '') =>
  `POST ${path} HTTP/1.1\r\nHost: d\r\n${headers}Content-Length: ${text.length}\r\n\r\n${text}`;

/** A process that prints, then gives back upper-case what it is given until its input ends. */
function process(options: { tty?: boolean; input?: boolean } = {}): AttachedStreams & { disposed: number } {
  const got: string[] = [];
  const ended = Promise.withResolvers<void>();
  const state = {
    tty: options.tty ?? false,
    disposed: 0,
    output: (async function* () {
      yield { stream: 'stdout' as const, data: Buffer.from('out\n') };
      yield { stream: 'stderr' as const, data: Buffer.from('err\n') };
      if (!options.input) return;
      await ended.promise;
      yield { stream: 'stdout' as const, data: Buffer.from(got.join('').toUpperCase()) };
    })(),
    write: async (data: Uint8Array) => {
      got.push(Buffer.from(data).toString());
    },
    closeInput: async () => ended.resolve(),
    async [Symbol.asyncDispose]() {
      state.disposed++;
      ended.resolve();
    },
  };
  return state;
}

test('attach: upgraded connections are framed and named by version and terminal', async () => {
  await using api = await serveScript({
    'containers.attach': async (id: string) => process({ tty: id === 'tty' }),
  });
  const framed = await api.raw([post('/v1.51/containers/c/attach?stream=1&stdout=1&stderr=1', upgrade)]);
  assert.equal(
    framed,
    'HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.multiplexed-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n' +
      frame('stdout', 'out\n') +
      frame('stderr', 'err\n'),
  );
  assert.deepEqual(api.lastArgs, ['c', { stdin: false, stdout: true, stderr: true, logs: false, stream: true }]);
  assert.match(await api.raw([post('/v1.41/containers/c/attach?stream=1', upgrade)]), /vnd\.docker\.raw-stream/);
  const tty = await api.raw([post('/containers/tty/attach?stream=1', upgrade)]);
  assert.match(tty, /vnd\.docker\.raw-stream/);
  assert.equal(body(tty), 'out\nerr\n');
  const plain = await api.raw([post('/containers/c/attach?stream=1')]);
  assert.match(plain, /^HTTP\/1\.1 200 OK\r\nContent-Type: application\/vnd\.docker\.raw-stream\r\n\r\n/);
});

test('attach: input reaches the process, and closing the connection detaches', async () => {
  const running = process({ input: true });
  await using api = await serveScript({ 'containers.attach': async () => running });
  const socket = connect({ path: api.path, allowHalfOpen: true });
  socket.write(`${post('/containers/c/attach?stream=1&stdin=1&stdout=1', upgrade)}early `);
  let got = '';
  socket.on('data', (chunk: Buffer) => {
    got += chunk.toString('latin1');
  });
  setTimeout(() => socket.end('late'), 30);
  await new Promise((resolve) => socket.once('end', resolve));
  socket.destroy();
  assert.equal(body(got), frame('stdout', 'out\n') + frame('stderr', 'err\n') + frame('stdout', 'EARLY LATE'));
  assert.ok(running.disposed > 0);
});

test('attach: detach keys end the connection and leave the process its input', async () => {
  const running = process({ tty: true, input: true });
  let closed = 0;
  const written: string[] = [];
  running.write = async (data) => {
    written.push(Buffer.from(data).toString());
  };
  running.closeInput = async () => {
    closed++;
  };
  await using api = await serveScript({ 'containers.attach': async () => running });
  const path = '/containers/c/attach?stream=1&stdin=1&stdout=1&detachKeys=ctrl-a,b';
  const answer = await api.raw([post(path, upgrade), 'x\x01', 'y\x01b', 'never']);
  assert.equal(body(answer).slice(0, 8), 'out\nerr\n');
  assert.equal(written.join(''), 'x\x01y');
  assert.equal(closed, 0);
  assert.ok(running.disposed > 0);
  const refused = await api.send('POST /containers/c/attach?detachKeys=zz', { body: '' });
  assert.equal(refused.status, 400);
});

test('attach: a client that vanishes leaves nothing attached', async () => {
  const running = {
    ...process(),
    disposed: 0,
    // Only a write shows that both halves are closed: a client's half-close is no reason to stop.
    output: (async function* () {
      while (true) {
        yield { stream: 'stdout' as const, data: Buffer.from('tick') };
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    })(),
    async [Symbol.asyncDispose]() {
      running.disposed++;
    },
  };
  await using api = await serveScript({ 'containers.attach': async () => running });
  const socket = connect({ path: api.path });
  socket.write(post('/containers/c/attach?stream=1&stdout=1', upgrade));
  await new Promise((resolve) => socket.once('data', resolve));
  socket.destroy();
  while (running.disposed === 0) await new Promise((resolve) => setTimeout(resolve, 5));
});

test('attach: a refusal is dockerd’s text', async () => {
  await using api = await serveScript({
    'containers.attach': async () => {
      throw new EngineError('not-found', 'No such container: nope');
    },
  });
  const want =
    'HTTP/1.1 404 Not Found\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\nNo such container: nope\r\n';
  assert.equal(await api.raw([post('/containers/nope/attach?stream=1', upgrade)]), want);
  assert.equal(await api.raw([post('/containers/nope/attach?stream=1')]), want);
});

test('exec start: streams, detaches, and says inside the stream why it failed', async () => {
  await using api = await serveScript({
    'execs.inspect': async (id: string) => {
      if (id === 'nope') throw new EngineError('not-found', 'No such exec instance: nope');
      return { ID: id, OpenStdin: false, Running: false, ExitCode: id === 'spent' ? 0 : null };
    },
    'execs.start': async (id: string, options: { detach: boolean }) => {
      if (id === 'bad') throw new EngineError('invalid-argument', 'OCI runtime exec failed');
      if (id === 'paused') throw new EngineError('conflict', 'Container c is paused');
      if (id === 'spent') throw new EngineError('conflict', 'exec command spent has already run');
      return options.detach ? undefined : process();
    },
  });
  const type = 'Content-Type: application/json\r\n';
  const start = (id: string, text: string, headers = upgrade) =>
    api.raw([post(`/exec/${id}/start`, type + headers, text)]);
  assert.equal(
    body(await start('e', '{"Detach":false,"Tty":false}')),
    frame('stdout', 'out\n') + frame('stderr', 'err\n'),
  );
  assert.equal(body(await start('bad', '{}')), frame('stdout', 'OCI runtime exec failed\r\n'));
  assert.match(await start('bad', '{}'), /^HTTP\/1\.1 101 /);
  const close = 'Connection: close\r\n';
  assert.match(
    await start('bad', '{"Detach":true}', close),
    /^HTTP\/1\.1 400 [\s\S]*\{"message":"OCI runtime exec failed"\}\n$/,
  );
  assert.match(await start('e', '{"Detach":true}', close), /^HTTP\/1\.1 200 OK\r\n/);
  assert.match(await start('paused', '{}'), /^HTTP\/1\.1 409 [\s\S]*\{"message":"Container c is paused"\}\n$/);
  assert.equal(body(await start('spent', '{}')), frame('stdout', 'exec command spent has already run\r\n'));
  assert.match(await start('nope', '{}'), /^HTTP\/1\.1 404 [\s\S]*\{"message":"No such exec instance: nope"\}\n$/);
  assert.match(
    await start('e', '{"Tty":"x"}'),
    /cannot unmarshal string into Go struct field ExecStartOptions\.Tty of type bool/,
  );
});

test('exec start: the answer’s head is with the client before the command runs', async () => {
  const headSeen = Promise.withResolvers<void>();
  await using api = await serveScript({
    'execs.inspect': async (id: string) => ({ ID: id, OpenStdin: false, Running: false, ExitCode: null }),
    'execs.start': async (_id: string, { onAccepted }: { onAccepted: () => Promise<void> }) => {
      await onAccepted();
      await headSeen.promise;
      return process();
    },
  });
  const socket = connect({ path: api.path });
  socket.write(post('/exec/e/start', `Content-Type: application/json\r\n${upgrade}`, '{}'));
  const got: string[] = [];
  socket.on('data', (chunk: Buffer) => {
    got.push(chunk.toString('latin1'));
    headSeen.resolve();
  });
  await new Promise((resolve) => socket.on('end', resolve));
  assert.match(got[0]!, /^HTTP\/1\.1 101 [\s\S]*\r\n\r\n$/);
  assert.equal(got.slice(1).join(''), frame('stdout', 'out\n') + frame('stderr', 'err\n'));
  socket.destroy();
});

test('exec create needs a command', async () => {
  await using api = await serveScript({ 'execs.create': async () => ({ Id: 'e' }) });
  const headers = { 'Content-Type': 'application/json' };
  const none = await api.send('POST /containers/c/exec', { body: '{"Cmd":[]}', headers });
  assert.equal(none.status, 400);
  assert.equal(none.body, '{"message":"No exec command specified"}\n');
  const made = await api.send('POST /containers/c/exec', { body: '{"Cmd":["a"],"Detach":false}', headers });
  assert.equal(made.status, 201);
  assert.equal(made.body, '{"Id":"e"}\n');
});

test('logs: bytes as the engine frames them, errors in a frame of their own', async () => {
  await using api = await serveScript({
    'containers.logs': async (id: string) => ({
      tty: id === 'tty',
      wire: (async function* () {
        yield id === 'tty' ? Buffer.from('line\n') : Buffer.from(frame('stderr', 'line\n'), 'latin1');
        if (id === 'bad') throw new EngineError('data-loss', 'corrupt');
      })(),
    }),
  });
  const get = (id: string, query = 'stdout=1') => api.send(`GET /containers/${id}/logs?${query}`);
  assert.equal(
    (await get('c', 'follow=1')).body,
    '{"message":"Bad parameters: you must choose at least one stream"}\n',
  );
  const framed = await get('c', 'stderr=true&since=1&tail=5');
  assert.equal(framed.headers['Content-Type'], 'application/vnd.docker.multiplexed-stream');
  assert.equal(framed.body, frame('stderr', 'line\n'));
  const tty = await get('tty');
  assert.equal(tty.headers['Content-Type'], 'application/vnd.docker.raw-stream');
  assert.equal(tty.body, 'line\n');
  assert.equal((await get('bad')).body, frame('stderr', 'line\n') + frame('system', 'Error grabbing logs: corrupt\n'));
});

test('wait: headers before the answer, and the conditions of dockerd', async () => {
  const exit = Promise.withResolvers<{ StatusCode: number }>();
  await using api = await serveScript({
    'containers.wait': async () => ({ accepted: true, result: exit.promise }),
  });
  assert.equal(
    (await api.send('POST /containers/c/wait?condition=zz')).body,
    '{"message":"invalid condition: \\"zz\\""}\n',
  );
  const socket = connect({ path: api.path });
  socket.write(post('/containers/c/wait', 'Connection: close\r\n'));
  const head = await new Promise<Buffer>((resolve) => socket.once('data', resolve));
  assert.match(head.toString(), /^HTTP\/1\.1 200 OK\r\n[\s\S]*\r\n\r\n$/);
  exit.resolve({ StatusCode: 7 });
  const rest = await new Promise<Buffer>((resolve) => socket.once('data', resolve));
  assert.match(rest.toString(), /\{"StatusCode":7\}\n/);
  assert.deepEqual((api.lastArgs[1] as { condition: string }).condition, 'not-running');
});
