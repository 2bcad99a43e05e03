/** Attaching over a WebSocket, with a client that is not ours. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Agent, WebSocket } from 'undici';
import { containerSetup, until } from './containers-fixture.ts';

/** One client's WebSocket: what it was sent so far, and how it ended. */
class Client implements Disposable {
  readonly #socket: WebSocket;
  readonly #agent: Agent;
  readonly kinds = new Set<string>();
  text = '';
  readonly opened: Promise<void>;
  readonly closed: Promise<number>;

  constructor(host: string, path: string) {
    this.#agent = new Agent({ connect: { socketPath: host.slice('unix://'.length) } });
    this.#socket = new WebSocket(`ws://daemon${path}`, { dispatcher: this.#agent });
    this.#socket.binaryType = 'arraybuffer';
    this.#socket.addEventListener('message', ({ data }) => {
      this.kinds.add(typeof data === 'string' ? 'text' : 'binary');
      this.text += typeof data === 'string' ? data : Buffer.from(data as ArrayBuffer).toString('latin1');
    });
    this.opened = new Promise((resolve, reject) => {
      this.#socket.addEventListener('open', () => resolve());
      this.#socket.addEventListener('error', () => reject(new Error('the handshake failed')));
    });
    this.opened.catch(() => {});
    this.closed = new Promise((resolve) => this.#socket.addEventListener('close', ({ code }) => resolve(code)));
  }

  send(data: string | Uint8Array<ArrayBuffer>): void {
    this.#socket.send(data);
  }

  close(): void {
    this.#socket.close(1000);
  }

  async shows(wanted: string): Promise<void> {
    await until(
      async () => this.text,
      (text) => text.includes(wanted),
    );
  }

  [Symbol.dispose](): void {
    this.#socket.close();
    void this.#agent.destroy();
  }
}

async function setup(t: TestContext) {
  const made = await containerSetup(t);
  if (!made) return undefined;
  const { docker, daemon } = made;
  return {
    docker,
    run: (name: string, flags: readonly string[], script: string) =>
      docker.ok('run', '-d', '--name', name, ...flags, 'base', 'sh', '-c', script),
    attach: (name: string, query: string, version = '/v1.51') =>
      new Client(daemon.host, `${version}/containers/${name}/attach/ws?${query}`),
    state: async (name: string) => (await docker.ok('inspect', '-f', '{{.State.Status}}', name)).trim(),
    [Symbol.asyncDispose]: () => made[Symbol.asyncDispose](),
  };
}

const all = 'stream=1&stdin=1&stdout=1&stderr=1';
const echo =
  'while read line; do echo "<$line>"; [ "$line" = quit ] && exit 0; [ "$line" = err ] && echo oops >&2; done';

test('attach over a WebSocket', async (t) => {
  await using made = await setup(t);
  if (!made) return;
  const { docker, run, attach, state } = made;

  await t.test(
    'both ways: messages of either kind are input, output comes in binary ones, until the process ends',
    async () => {
      await run('both', ['-i'], echo);
      using client = attach('both', all);
      await client.opened;
      client.send('one\n');
      await client.shows('<one>\n');
      client.send(Buffer.from('er'));
      client.send(Buffer.from('r\n'));
      await client.shows('oops\n');
      client.send(`${'x'.repeat(70_000)}\n`);
      await client.shows(`${'x'.repeat(70_000)}>\n`);
      client.send('quit\n');
      assert.equal(await client.closed, 1000);
      assert.deepEqual([...client.kinds], ['binary']);
      assert.ok(client.text.endsWith('<quit>\n'));
      await docker.ok('wait', 'both');
      await docker.ok('rm', 'both');
    },
  );

  await t.test('only what is asked for; logs; text for old clients', async () => {
    await run('asked', ['-i'], `echo begin; ${echo}`);
    using errors = attach('asked', 'stream=1&stderr=1');
    using old = attach('asked', `logs=1&${all}`, '/v1.27');
    await Promise.all([errors.opened, old.opened]);
    await old.shows('begin\n');
    old.send('err\n');
    await errors.shows('oops\n');
    await old.shows('oops\n');
    assert.equal(errors.text, 'oops\n');
    assert.deepEqual([...old.kinds], ['text']);
    using past = attach('asked', 'logs=1&stdout=1');
    assert.equal(await past.closed, 1000);
    assert.equal(past.text, 'begin\n<err>\n');
    using nothing = attach('asked', 'stream=1');
    assert.equal(await nothing.closed, 1000);
    await docker.ok('rm', '-f', 'asked');
  });

  await t.test('a client that closes leaves the process running', async () => {
    await run('left', ['-i'], echo);
    using client = attach('left', all);
    await client.opened;
    client.close();
    assert.equal(await client.closed, 1000);
    using next = attach('left', all);
    await next.opened;
    next.send('quit\n');
    assert.equal(await next.closed, 1000);
    await docker.ok('wait', 'left');
    await docker.ok('rm', 'left');
  });

  await t.test('a terminal: its bytes, and its detach keys', async () => {
    await run('terminal', ['-it'], echo);
    using client = attach('terminal', `${all}&detachKeys=ctrl-x,b`);
    await client.opened;
    client.send('one\n');
    await client.shows('one\r\n<one>\r\n');
    client.send('\x18');
    client.send('b');
    assert.equal(await client.closed, 1000);
    assert.equal(await state('terminal'), 'running');
    using next = attach('terminal', all);
    await next.opened;
    next.send('quit\n');
    assert.equal(await next.closed, 1000);
    await docker.ok('wait', 'terminal');
    await docker.ok('rm', 'terminal');
  });

  await t.test('what cannot be attached to is refused', async () => {
    await assert.rejects(attach('nowhere', all).opened);
    await run('paused', ['-i'], echo);
    await docker.ok('pause', 'paused');
    await assert.rejects(attach('paused', all).opened);
    await docker.ok('rm', '-f', 'paused');
  });
});
