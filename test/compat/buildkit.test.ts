/** Builds over BuildKit's protocol, by a client of the test's own: no buildx is needed. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, type TestContext, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { ConnectError } from '@connectrpc/connect';
import { connect } from '#client';
import { requireRoot } from '#testing';
import { baseImageTar } from '../../scripts/base-image.ts';
import type { SolveRequestSchema } from '../../src/buildkit/proto/control_pb.ts';
import { SourceSchema } from '../../src/buildkit/proto/errdefs_pb.ts';
import { Auth, FileSync } from '../../src/buildkit/proto/filesync_pb.ts';
import { Secrets } from '../../src/buildkit/proto/secrets_pb.ts';
import { SSH } from '../../src/buildkit/proto/ssh_pb.ts';
import { BuildKitClient } from '../support/buildkit-client.ts';
import { TestDaemon } from '../support/daemon.ts';
import { SyncedFiles, syncedFolders } from '../support/synced-files.ts';

interface Parts {
  readonly daemon: TestDaemon;
  readonly client: BuildKitClient;
  readonly engine: ReturnType<typeof connect>;
  /** An image with busybox. */
  readonly base: string;
}

let shared: (Parts & AsyncDisposable) | undefined;

/** One daemon for all of them. */
async function withDaemon(t: TestContext, work: (parts: Parts) => Promise<void>): Promise<void> {
  if (!requireRoot(t)) return;
  shared ??= await start();
  await work(shared);
}

async function start(): Promise<Parts & AsyncDisposable> {
  await using held = new AsyncDisposableStack();
  const daemon = held.use(await TestDaemon.start({ flags: ['--bridge=none', '--iptables=false'] }));
  const engine = held.use(connect(daemon.host));
  const client = held.use(await BuildKitClient.connect(daemon.host));
  for await (const _ of engine.images.import(one(baseImageTar()), { repo: 'base' }));
  const all = held.move();
  return { daemon, client, engine, base: 'base', [Symbol.asyncDispose]: () => all.disposeAsync() };
}

after(() => shared?.[Symbol.asyncDispose]());

/** There is no bridge. */
const unconnected = { 'force-network-mode': 'none' };

async function listening(answer: RequestListener): Promise<{ host: string } & AsyncDisposable> {
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const close = () => new Promise<void>((resolve) => server.close(() => resolve()));
  return { host: `127.0.0.1:${port}`, [Symbol.asyncDispose]: close };
}

async function* one(bytes: Buffer): AsyncGenerator<Uint8Array> {
  yield bytes;
}

const named = (name: string) => [{ type: 'moby', attributes: { name } }];

test('a Dockerfile and its context come over a session, and the image is in the store', async (t) => {
  await withDaemon(t, async ({ client, engine }) => {
    const files = new SyncedFiles({ Dockerfile: 'FROM scratch\nCOPY a /a\nLABEL x=y\n', a: 'hello', unused: 'no' });
    const session = await client.serve([FileSync], files.route, { sharedKey: 'one' });
    const answer = await client.build(session, { exporters: named('built:1,built:2') });
    const image = await engine.images.inspect('built:1');
    assert.equal(answer['containerimage.config.digest'], image.Id);
    assert.equal(answer['image.name'], 'docker.io/library/built:1,docker.io/library/built:2');
    assert.deepEqual(image.Config?.Labels, { x: 'y' });
    assert.equal((await engine.images.inspect('built:2')).Id, image.Id);
    assert.deepEqual(files.sent, ['Dockerfile', 'a']);
    assert.equal(files.asked.at(-1)!.get('followpaths'), 'a');

    files.sent.length = 0;
    assert.deepEqual(await client.build(session, { exporters: named('built:1,built:2') }), answer);
    assert.deepEqual(files.sent, ['Dockerfile'], 'of an unchanged context nothing is asked for');
    files.files.set('a', { content: Buffer.from('HELLO'), modTime: 1_700_000_001_000_000_000n });
    const other = await client.build(session, { exporters: named('built:1') });
    assert.notEqual(other['containerimage.digest'], image.Id);
    assert.deepEqual(files.sent, ['Dockerfile', 'Dockerfile', 'a']);
  });
});

test('what the ignore file names is left to the client, and a Dockerfile that needs no files asks for none', async (t) => {
  await withDaemon(t, async ({ client }) => {
    const files = new SyncedFiles({ Dockerfile: 'FROM scratch\nCOPY . /\n', '.dockerignore': 'x/ä*\n!x/é\n', a: 'a' });
    const session = await client.serve([FileSync], files.route);
    await client.build(session);
    const { get } = { get: (name: string) => files.asked.at(-1)!.get(name) };
    assert.deepEqual([get('exclude-patterns-encoded'), get('followpaths')], ['1', null]);
    assert.deepEqual(get('exclude-patterns')?.split(', ').map(decodeURIComponent), ['x/ä*', '!x/é']);
    files.files.set('Dockerfile', { content: Buffer.from('FROM scratch\nLABEL a=b\n') });
    files.asked.length = 0;
    await client.build(session);
    assert.deepEqual(
      files.asked.map((headers) => headers.get('dir-name')),
      ['dockerfile', 'context'],
    );
  });
});

test('a build that fails says so to whoever asked for it, with the Dockerfile and its line', async (t) => {
  await withDaemon(t, async ({ client }) => {
    const files = new SyncedFiles({ Dockerfile: 'FROM scratch\n\nCOPY missing /a\n' });
    const session = await client.serve([FileSync], files.route);
    const failed = client.build(session).catch((reason: unknown) => reason);
    const error = ConnectError.from(await failed);
    assert.match(error.rawMessage, /^COPY failed: file not found in build context/);
    const [source] = error.findDetails(SourceSchema);
    assert.equal(source?.info?.filename, 'Dockerfile');
    assert.equal(Buffer.from(source!.info!.data).toString(), 'FROM scratch\n\nCOPY missing /a\n');
    assert.deepEqual([source?.ranges[0]?.start?.line, source?.ranges[0]?.end?.line], [3, 3]);
    for (const [attributes, message] of [
      [{ bogus: '1' }, /the frontend attribute bogus is not supported/],
      [{ 'build-arg:BUILDKIT_SANDBOX_HOSTNAME': 'h' }, /build-arg:BUILDKIT_SANDBOX_HOSTNAME is not supported/],
      [{ filename: 'nope' }, /failed to read dockerfile: open nope: no such file or directory/],
      [
        { 'frontend.caps': 'moby.buildkit.frontend.bogus' },
        /unsupported frontend capability moby.buildkit.frontend.bogus/,
      ],
      [{ 'force-network-mode': 'x' }, /invalid netmode x/],
      [{ 'add-hosts': 'a=b' }, /failed to parse IP b/],
      [{ 'image-resolve-mode': 'x' }, /invalid image-resolve-mode: x/],
      [{ ulimit: 'x' }, /invalid ulimit argument: x/],
      [{ 'shm-size': 'x' }, /x/],
      [{ 'context:a': 'bogus:b' }, /unsupported context source bogus for a/],
      [{ requestid: 'frontend.bogus' }, /unsupported request frontend.bogus/],
      [{ source: 'a/b:c', cmdline: 'a/b:c' }, /frontend a\/b:c is not supported/],
    ] as [Record<string, string>, RegExp][]) {
      await assert.rejects(client.build(session, { attributes }), message);
    }
    files.files.set('Dockerfile', { content: Buffer.from('# escape=`\n# syntax=a/b:1 x\nFROM scratch\n') });
    await assert.rejects(client.build(session), /frontend a\/b:1 is not supported/);
    files.files.set('Dockerfile', {
      content: Buffer.from('# syntax=docker/dockerfile:1.7\nFROM scratch\nLABEL a=b\n'),
    });
    await client.build(session);
    await assert.rejects(client.build('nobody'), /no active session for nobody/);
  });
});

const secret = 'correct horse battery staple';

test('secrets and agents are there while a step runs, and nowhere afterwards', async (t) => {
  await withDaemon(t, async ({ client, engine, daemon, base }) => {
    const flags = '--mount=type=secret,id=s,target=/deep/in/s,mode=0440,uid=65534 --mount=type=secret,id=s,env=TOKEN';
    const agent = '--mount=type=ssh --mount=type=ssh,id=other --mount=type=secret,id=absent';
    const checks = [
      `[ "$(cat /deep/in/s)" = "$TOKEN" ]`,
      `[ "$(printf %s "$TOKEN" | sha256sum)" = "$(sha256sum < /deep/in/s)" ]`,
      `[ "$(stat -c %a:%u:%g /deep/in/s)" = 440:65534:0 ]`,
      `[ "$SSH_AUTH_SOCK" = /run/buildkit/ssh_agent.0 ] && [ -S "$SSH_AUTH_SOCK" ]`,
      '[ ! -e /run/buildkit/ssh_agent.1 ] && [ ! -e /run/secrets/absent ]',
      `printf %s "$TOKEN" | wc -c > /length`,
    ];
    const dockerfile = `FROM ${base}\nRUN ${flags} ${agent} ${checks.join(' && ')}\nRUN [ ! -e /deep ] && [ -z "$TOKEN" ]\n`;
    const files = new SyncedFiles({ Dockerfile: dockerfile });
    const asked: string[] = [];
    const session = await client.serve([FileSync, Secrets, SSH], (router) => {
      files.route(router);
      router.service(Secrets, {
        getSecret({ id }) {
          asked.push(id);
          if (id !== 's') throw new ConnectError('not found', 5);
          return { data: Buffer.from(secret) };
        },
      });
      router.service(SSH, {
        checkAgent({ id }) {
          if (id !== 'default') throw new ConnectError(`unset ssh forward key ${id}`);
          return {};
        },
      });
    });
    const { 'containerimage.digest': id } = await client.build(session, {
      exporters: named('s'),
      attributes: unconnected,
    });
    assert.deepEqual([...new Set(asked)], ['s', 'absent']);
    const { content } = await engine.images.file(id!, '/length');
    assert.equal(
      Buffer.concat(await Array.fromAsync(content))
        .toString()
        .trim(),
      String(secret.length),
    );
    const traces = [daemon.folder].filter((folder) => grepFinds(secret, folder));
    assert.deepEqual(traces, [], 'the secret is in no file of the daemon');
    assert.ok(!readFileSync('/proc/self/mountinfo', 'latin1').includes(`${daemon.folder}/exec/lent`));

    const required = (type: string) =>
      `FROM ${base}\nRUN --network=none --mount=type=${type},id=none,required=true true\n`;
    files.files.set('Dockerfile', { content: Buffer.from(required('secret')) });
    await assert.rejects(client.build(session), /secret none: not found/);
    files.files.set('Dockerfile', { content: Buffer.from(required('ssh')) });
    await assert.rejects(client.build(session), /unset ssh forward key none/);
    const bare = await client.serve([FileSync], files.route);
    await assert.rejects(client.build(bare), /no SSH key "none" forwarded from the client/);
  });
});

function grepFinds(text: string, folder: string): boolean {
  try {
    execFileSync('grep', ['-rqaF', '--', text, folder]);
    return true;
  } catch (error) {
    if ((error as { status?: number }).status === 1) return false;
    throw error;
  }
}

test('further contexts stand in for stages and images: folders, images, results of other builds', async (t) => {
  await withDaemon(t, async ({ client, engine, base }) => {
    const main = new SyncedFiles({
      Dockerfile: 'FROM lib AS a\nFROM over\nCOPY --from=a /x /x\nCOPY --from=other y /y\n',
    });
    const other = new SyncedFiles({ y: 'why', z: 'unused' });
    const lib = new SyncedFiles({ x: 'ex', '.dockerignore': 'skipped' });
    const folders = syncedFolders({ context: main, dockerfile: main, other, lib });
    const session = await client.serve([FileSync], folders, { sharedKey: 'k' });
    const contexts = {
      'context:lib': 'local:lib',
      'context:other': 'local:other',
      'context:over': `docker-image://${base}`,
    };
    const { answer, result } = await client.solve(session, { attributes: contexts, exporters: named('n') });
    const text = async (path: string, image = answer['containerimage.digest']!) =>
      Buffer.concat(await Array.fromAsync((await engine.images.file(image, path)).content)).toString();
    assert.deepEqual([await text('/x'), await text('/y')], ['ex', 'why']);
    assert.deepEqual(other.sent, ['y'], 'of a folder only what is copied');
    assert.equal(lib.asked.at(-1)!.get('exclude-patterns'), 'skipped');

    assert.ok(result?.result.case === 'ref');
    main.files.set('Dockerfile', { content: Buffer.from('FROM lib\nCOPY --from=lib /y /again\n') });
    const inputs = { made: result.result.value.definition! };
    const again = await client.build(session, {
      attributes: { 'context:lib': 'input:made' },
      inputs,
      exporters: named('m'),
    });
    assert.equal(await text('/again', again['containerimage.digest']), 'why');
  });
});

test('a session may come through the connection that there is, and a folder may be in another one', async (t) => {
  await withDaemon(t, async ({ client, engine }) => {
    const own = new SyncedFiles({ Dockerfile: 'FROM scratch\nCOPY a /a\n' });
    const others = new SyncedFiles({ a: 'theirs' });
    const session = await client.tunnel([FileSync], syncedFolders({ dockerfile: own }));
    const other = await client.tunnel([FileSync], syncedFolders({ context: others }));
    const wish = { attributes: { 'local-sessionid:context': other }, exporters: named('tunnelled') };
    const { 'containerimage.digest': id } = await client.build(session, wish);
    const { content } = await engine.images.file(id!, '/a');
    assert.equal(Buffer.concat(await Array.fromAsync(content)).toString(), 'theirs');
  });
});

test('credentials for a registry are asked of the client', async (t) => {
  await withDaemon(t, async ({ client }) => {
    const shown: (string | undefined)[] = [];
    await using registry = await listening((request, response) => {
      shown.push(request.headers.authorization);
      response.writeHead(request.headers.authorization ? 404 : 401, { 'WWW-Authenticate': 'Basic realm="x"' }).end();
    });
    const files = new SyncedFiles({ Dockerfile: `FROM ${registry.host}/private:1\n` });
    const asked: string[] = [];
    const session = await client.serve([FileSync, Auth], (router) => {
      files.route(router);
      router.service(Auth, {
        credentials({ host }) {
          asked.push(host);
          return { username: 'ada', secret: 'lovelace' };
        },
      });
    });
    await assert.rejects(client.build(session), /HTTP status 404/);
    assert.deepEqual([...new Set(asked)], [registry.host]);
    assert.ok(shown.includes(`Basic ${Buffer.from('ada:lovelace').toString('base64')}`), String(shown));
  });
});

test('stages by name run again, whatever the cache has', async (t) => {
  await withDaemon(t, async ({ client, engine, base }) => {
    const random = 'RUN head -c 8 /dev/urandom >';
    const files = new SyncedFiles({ Dockerfile: `FROM ${base} AS a\n${random} /a\nFROM a AS b\n${random} /b\n` });
    const session = await client.serve([FileSync], files.route);
    const layers = async (attributes: Record<string, string>) => {
      await client.build(session, { attributes: { ...unconnected, ...attributes }, exporters: named('again') });
      return (await engine.images.inspect('again')).RootFS.Layers ?? [];
    };
    const first = await layers({});
    assert.deepEqual(await layers({}), first);
    const again = await layers({ 'no-cache': 'B' });
    assert.deepEqual([again.slice(0, -1), again.at(-1) === first.at(-1)], [first.slice(0, -1), false]);
    assert.notEqual((await layers({ 'no-cache': '' }))[1], first[1]);
  });
});

test('questions about a Dockerfile are answered in place of an image', async (t) => {
  await withDaemon(t, async ({ client }) => {
    const lines = ['# WHO is greeted', 'ARG WHO=you', '# first is first', 'FROM scratch AS first', 'ARG WHO'];
    const run = 'RUN --mount=type=secret,id=s,required --mount=type=ssh true';
    const files = new SyncedFiles({ Dockerfile: [...lines, run, 'FROM first as last', ''].join('\n') });
    const session = await client.serve([FileSync], files.route);
    const ask = async (name: string) => {
      const { result } = await client.solve(session, { attributes: { requestid: `frontend.${name}` } });
      const text = (key: string) => Buffer.from(result!.metadata[key] ?? []).toString();
      return { json: JSON.parse(text('result.json')), text: text('result.txt'), status: text('result.statuscode') };
    };
    const targets = await ask('targets');
    assert.equal(targets.text, 'TARGET         DESCRIPTION\nfirst          is first\nlast (default) \n');
    assert.deepEqual(targets.json.targets[1].base, 'first');
    const outline = await ask('outline');
    assert.deepEqual(
      outline.json.args.map(({ name, value, description }: Record<string, string>) => [name, value, description]),
      [['WHO', 'you', 'is greeted']],
    );
    assert.deepEqual([outline.json.secrets[0].name, outline.json.secrets[0].required], ['s', true]);
    const lint = await ask('lint');
    assert.deepEqual([lint.status, lint.json.warnings[0].ruleName], ['1', 'FromAsCasing']);
    assert.deepEqual(lint.json.warnings[0].location.ranges, [{ start: { line: 7 }, end: { line: 7 } }]);
    files.files.set('Dockerfile', { content: Buffer.from('FROM scratch\nFOO\n') });
    assert.match((await ask('lint')).json.buildError.message, /unknown instruction: FOO/);
  });
});

test('a client that goes away, and one that stops its build, leave no process', async (t) => {
  await withDaemon(t, async ({ client, daemon, base }) => {
    const files = new SyncedFiles({ Dockerfile: `FROM ${base}\nRUN sleep 86399\n` });
    const session = await client.serve([FileSync], files.route);
    const stop = new AbortController();
    const stopped = assert.rejects(client.build(session, { signal: stop.signal, attributes: unconnected }));
    await until(() => sleepers() === 1);
    stop.abort();
    await stopped;
    await until(() => sleepers() === 0);
    const gone = await BuildKitClient.connect(daemon.host);
    const left = assert.rejects(gone.build(await gone.serve([FileSync], files.route), { attributes: unconnected }));
    await until(() => sleepers() === 1);
    await gone[Symbol.asyncDispose]();
    await left;
    await until(() => sleepers() === 0);
  });
});

function sleepers(): number {
  return readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && commandOf(pid) === 'sleep\x0086399\0').length;
}

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`).toString();
  } catch {
    return '';
  }
}

async function until(isTrue: () => boolean): Promise<void> {
  for (let tries = 0; !isTrue(); tries++) {
    assert.ok(tries < 600, 'it does not come to that');
    await wait(50);
  }
}

test('what a build asks for beside its frontend is honoured, or refused by its name', async (t) => {
  await withDaemon(t, async ({ client }) => {
    const { control } = client;
    const frontend = { frontend: 'dockerfile.v0' };
    for (const [request, message] of [
      [{ definition: { ops: [Buffer.from('x')] } }, /LLB/],
      [{ ...frontend, sourcePolicy: { rules: [{ action: 1 }] } }, /source policies are not supported/],
      [{ ...frontend, entitlements: ['network.host', 'security.insecure'] }, /security.insecure is not allowed/],
      [{ ...frontend, frontend: 'gateway.v0' }, /frontend gateway.v0 is not supported/],
    ] as [MessageInitShape<typeof SolveRequestSchema>, RegExp][]) {
      await assert.rejects(control.solve({ ref: `${message}`, session: 's', ...request }), message);
    }
    await assert.rejects(Array.fromAsync(control.status({ ref: 'nobody' })), /no such job nobody/);
  });
});

test('what a daemon that is killed had handed over is gone with the next one', async (t) => {
  if (!requireRoot(t)) return;
  await using daemon = await TestDaemon.start({ flags: ['--bridge=none', '--iptables=false'] });
  const lent = () =>
    readFileSync('/proc/self/mountinfo')
      .toString()
      .split('\n')
      .filter((line) => line.includes(`${daemon.folder}/`) && line.includes('/lent/')).length;
  {
    await using engine = connect(daemon.host);
    for await (const _ of engine.images.import(one(baseImageTar()), { repo: 'base' }));
  }
  const client = await BuildKitClient.connect(daemon.host);
  const files = new SyncedFiles({ Dockerfile: 'FROM base\nRUN --network=none --mount=type=secret,id=s sleep 86399\n' });
  const session = await client.serve([FileSync, Secrets], (router) => {
    files.route(router);
    router.service(Secrets, { getSecret: () => ({ data: Buffer.from(secret) }) });
  });
  const lost = assert.rejects(client.build(session));
  await until(() => sleepers() === 1 && lent() === 1);
  await daemon.kill();
  await lost;
  await client[Symbol.asyncDispose]();
  await daemon.start();
  assert.deepEqual([lent(), sleepers()], [0, 0]);
});

test('ten builds at once share what they have in common', async (t) => {
  await withDaemon(t, async ({ client, engine, base }) => {
    const dockerfile = (at: number) =>
      `FROM ${base}\nRUN head -c 8 /dev/urandom > /shared\nCOPY f /f\nLABEL at=${at}\n`;
    const builds = Array.from({ length: 10 }, async (_, at) => {
      const files = new SyncedFiles({ Dockerfile: dockerfile(at), f: 'same' });
      const session = await client.serve([FileSync], files.route, { sharedKey: `k${at}` });
      await client.build(session, { exporters: named(`ten:${at}`), attributes: unconnected });
      return (await engine.images.inspect(`ten:${at}`)).RootFS.Layers ?? [];
    });
    const layers = await Promise.all(builds);
    assert.equal(new Set(layers.map((each) => each.join())).size, 1);
  });
});
