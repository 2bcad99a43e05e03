/** The client over the API over a scripted engine: what goes in at one end comes out at the other, so both hold the `Engine` interface alike. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BuildOptions, Engine, ListedContext, ProgressMessage } from '#api-types';
import { connect } from '#client';
import { EngineError, isKind } from '#errdefs';
import { fromBytes, readAll } from '#streams';
import type { Script } from './testsuite/fake-engine.ts';
import { type Served, serveScript } from './testsuite/serve.ts';

async function connected(script: Script): Promise<{ engine: Engine; api: Served } & AsyncDisposable> {
  const api = await serveScript(script);
  const engine = connect(`unix://${api.path}`);
  return {
    engine,
    api,
    async [Symbol.asyncDispose]() {
      await engine[Symbol.asyncDispose]();
      await api[Symbol.asyncDispose]();
    },
  };
}

/** Drops what is undefined and the server's own signal: the two ends need only agree on what was said. */
function said(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(said);
  if (value === null || typeof value !== 'object' || value instanceof AbortSignal) return value;
  const kept = Object.entries(value).filter(([, item]) => item !== undefined && !(item instanceof AbortSignal));
  return Object.fromEntries(kept.map(([key, item]) => [key, said(item)]));
}

const nothing = () => (async function* () {})();
const filters = { label: ['a=b', 'c'], until: ['1h'] };

test('answers come through as they are', async () => {
  const answers: Readonly<Record<string, unknown>> = {
    'images.remove': [{ Untagged: 'a' }, { Deleted: 'b' }],
    'images.prune': { ImagesDeleted: null, SpaceReclaimed: 5 },
    'images.buildReport': [{ step: 2, text: 'RUN x', line: 2, outcome: 'run', causes: [{ kind: 'new' }] }],
    'images.history': [{ Comment: '', Created: 1, CreatedBy: 'x', Id: 'i', Size: 2, Tags: null }],
    'images.blame': { id: 'sha256:x', sizeBytes: 3, sums: {}, layers: [] },
    'images.commit': { Id: 'sha256:x' },
    'containers.list': [{ Id: 'a', Names: ['/n'] }],
    'containers.create': { Id: 'a', Warnings: [] },
    'containers.inspect': { Id: 'a', Config: { Tty: true } },
    'containers.prune': { ContainersDeleted: ['a'], SpaceReclaimed: 1 },
    'containers.top': { Processes: [['1']], Titles: ['PID'] },
    'containers.changes': [{ Path: '/a', Kind: 1 }],
    'networks.list': [{ Name: 'bridge' }],
    'volumes.list': { Volumes: [], Warnings: null },
    'volumes.create': { Name: 'v' },
    'system.version': { Version: '1' },
    'system.fileUsage': { layers: 1, files: 2, groups: [] },
    'system.auth': { Status: 'Login Succeeded' },
    debugBuild: 'abc',
    pruneBuildCache: { CachesDeleted: null, SpaceReclaimed: 0 },
  };
  const script = Object.fromEntries(Object.entries(answers).map(([name, answer]) => [name, async () => answer]));
  await using pair = await connected(script);
  const { images, containers, networks, volumes, system } = pair.engine;
  const got: Readonly<Record<string, unknown>> = {
    'images.remove': await images.remove('a/b:1', { force: true, noPrune: true }),
    'images.prune': await images.prune({ filters }),
    'images.buildReport': await images.buildReport('host:5000/a/b:1'),
    'images.history': await images.history('a', { platform: 'linux/arm/v7' }),
    'images.blame': await images.blame('host:5000/a/b:1', { files: 7 }),
    'images.commit': await images.commit('c', { repo: 'r', tag: 't', changes: ['CMD x'], config: { Cmd: ['a'] } }),
    'containers.list': await containers.list({ all: true, limit: 3, size: true, filters }),
    'containers.create': await containers.create({ Image: 'a', HostConfig: { Memory: 5 } }, { name: 'n' }),
    'containers.inspect': await containers.inspect('a', { size: true }),
    'containers.prune': await containers.prune({ filters }),
    'containers.top': await containers.top('a', '-ef'),
    'containers.changes': await containers.changes('a'),
    'networks.list': await networks.list({ filters }),
    'volumes.list': await volumes.list({ filters }),
    'volumes.create': await volumes.create({ Name: 'v', Labels: { a: 'b' } }),
    'system.version': await system.version(),
    'system.fileUsage': await system.fileUsage({ groups: 2 }),
    'system.auth': await system.auth({ username: 'u', password: 'p' }),
    debugBuild: await pair.engine.debugBuild('a b', { command: ['sh', '-x'], tty: true }),
    pruneBuildCache: await pair.engine.pruneBuildCache({
      all: true,
      filters,
      reservedSpaceBytes: 5,
      minFreeSpaceBytes: 7,
    }),
  };
  assert.deepEqual(got, answers);
  const sent = Object.fromEntries(pair.api.calls.map(({ name, args }) => [name, said(args)]));
  assert.deepEqual(sent['images.remove'], ['a/b:1', { force: true, noPrune: true }]);
  assert.deepEqual(sent['images.buildReport'], ['host:5000/a/b:1']);
  assert.deepEqual(sent['images.history'], ['a', { platform: 'linux/arm/v7' }]);
  assert.deepEqual(sent['images.blame'], ['host:5000/a/b:1', { files: 7 }]);
  assert.deepEqual(sent['system.fileUsage'], [{ groups: 2 }]);
  assert.deepEqual(sent['images.commit'], [
    'c',
    { repo: 'r', tag: 't', pause: true, changes: ['CMD x'], config: { Cmd: ['a'] } },
  ]);
  assert.deepEqual(sent['containers.list'], [{ all: true, size: true, filters, limit: 3 }]);
  assert.deepEqual(sent['containers.create'], [{ Image: 'a', HostConfig: { Memory: 5 } }, { name: 'n' }]);
  assert.deepEqual(sent['containers.top'], ['a', '-ef']);
  assert.deepEqual(sent['debugBuild'], ['a b', { command: ['sh', '-x'], tty: true }]);
  assert.deepEqual(sent['pruneBuildCache'], [{ all: true, filters, reservedSpaceBytes: 5, minFreeSpaceBytes: 7 }]);
});

test('lifecycle calls keep their arguments', async () => {
  const names = ['start', 'stop', 'restart', 'kill', 'pause', 'unpause', 'rename', 'resize', 'remove'];
  await using pair = await connected(Object.fromEntries(names.map((name) => [`containers.${name}`, async () => {}])));
  const { containers } = pair.engine;
  await containers.start('a');
  await containers.stop('a', { signal: 'INT', timeoutSeconds: 3 });
  await containers.restart('a', { timeoutSeconds: 0 });
  await containers.kill('a', { signal: 'HUP' });
  await containers.pause('a');
  await containers.unpause('a');
  await containers.rename('a', 'b');
  await containers.resize('a', { height: 5, width: 6 });
  await containers.remove('a', { force: true, volumes: true });
  assert.deepEqual(
    pair.api.calls.map(({ name, args }) => [name, ...(said(args) as unknown[])]),
    [
      ['containers.start', 'a', {}],
      ['containers.stop', 'a', { signal: 'INT', timeoutSeconds: 3 }],
      ['containers.restart', 'a', { timeoutSeconds: 0 }],
      ['containers.kill', 'a', { signal: 'HUP' }],
      ['containers.pause', 'a'],
      ['containers.unpause', 'a'],
      ['containers.rename', 'a', 'b'],
      ['containers.resize', 'a', { height: 5, width: 6 }],
      ['containers.remove', 'a', { force: true, volumes: true, link: false }],
    ],
  );
});

test('transfers keep references, platforms and credentials; bytes go both ways', async () => {
  let loaded = '';
  await using pair = await connected({
    'images.pull': nothing,
    'images.push': nothing,
    'images.load': (archive: AsyncIterable<Uint8Array>) =>
      (async function* () {
        loaded = (await readAll(archive, 100)).toString();
        yield { stream: 'Loaded image: a\n' };
      })(),
    'images.save': () => fromBytes('tar'),
    'images.digests': async () => 'layers\n',
  });
  const { images } = pair.engine;
  const drain = async (messages: AsyncIterable<unknown>) => {
    const all: unknown[] = [];
    for await (const message of messages) all.push(message);
    return all;
  };
  const auth = { username: 'u', password: 'p' };
  await drain(images.pull('h:5/a/b:1', { platform: 'linux/arm64', auth }));
  assert.deepEqual(said(pair.api.lastArgs), ['h:5/a/b:1', { allTags: false, platform: 'linux/arm64', auth }]);
  const digest = `a@sha256:${'b'.repeat(64)}`;
  await drain(images.pull(digest));
  assert.deepEqual(said(pair.api.lastArgs), [digest, { allTags: false }]);
  await drain(images.pull('a', { allTags: true }));
  assert.deepEqual(said(pair.api.lastArgs), ['a', { allTags: true }]);
  await drain(images.push('h:5/a:1', { platform: 'linux/amd64', auth }));
  assert.deepEqual(said(pair.api.lastArgs), ['h:5/a:1', { allTags: false, platform: 'linux/amd64', auth }]);
  assert.deepEqual(await drain(images.load(fromBytes('arch', 'ive'), { quiet: true })), [
    { stream: 'Loaded image: a\n' },
  ]);
  assert.equal(loaded, 'archive');
  assert.equal((await readAll(images.save(['a', 'b']), 10)).toString(), 'tar');
  const platforms = ['linux/amd64', 'linux/arm/v7'];
  assert.equal((await readAll(images.save(['a'], { platforms }), 10)).toString(), 'tar');
  assert.deepEqual(said(pair.api.lastArgs), [['a'], { platforms }]);
  await drain(images.load(fromBytes('archive'), { platforms }));
  const [, loadOptions] = said(pair.api.lastArgs) as readonly { platforms?: unknown }[];
  assert.deepEqual(loadOptions?.platforms, platforms);
  for (const since of [{ images: ['c', 'd'] }, { images: [], list: 'layers\n' }, { images: ['c'], list: '' }]) {
    assert.equal((await readAll(images.save(['a'], { since }), 10)).toString(), 'tar');
    assert.deepEqual(said(pair.api.lastArgs), [['a'], { platforms: [], since }]);
  }
  assert.equal(await images.digests(['a']), 'layers\n');
  assert.deepEqual(said(pair.api.lastArgs), [['a']]);
});

test('files of images: names, paths of any letters, and bytes', async () => {
  const facts = { mode: '0644', uid: 1, gid: 2, sizeBytes: 7, modified: '1970-01-01T00:00:00Z', layer: 0 };
  const [listed, differing] = [[{ path: '/ä b', type: 'file' }], [{ kind: 'config', field: 'os' }]];
  await using pair = await connected({
    'images.files': () =>
      (async function* () {
        yield* listed;
      })(),
    'images.file': async () => ({ file: facts, content: fromBytes('con', 'tent') }),
    'images.compare': () =>
      (async function* () {
        yield* differing;
      })(),
  });
  const { images } = pair.engine;
  const [name, path] = ['host:5000/a/file', '/ä b?&+%2F#'];
  assert.deepEqual(await Array.fromAsync(images.files(name, { path, recursive: true })), listed);
  assert.deepEqual(said(pair.api.lastArgs), [name, { path, recursive: true, self: false, noFollow: false }]);
  const { file, content } = await images.file(name, path);
  assert.deepEqual([file, (await readAll(content, 100)).toString()], [facts, 'content']);
  assert.deepEqual(said(pair.api.lastArgs), [name, path, {}]);
  assert.deepEqual(await Array.fromAsync(images.compare(name, 'b/files:1', { times: true })), differing);
  assert.deepEqual(said(pair.api.lastArgs), [name, 'b/files:1', { times: true }]);
});

test('failures come back with their kind, before and inside a stream', async () => {
  await using pair = await connected({
    'containers.start': async () => {
      throw new EngineError('not-modified', '');
    },
    'containers.inspect': async () => {
      throw new EngineError('not-found', 'No such container: a');
    },
    'containers.attach': async () => {
      throw new EngineError('conflict', 'a is paused');
    },
    'images.pull': () =>
      (async function* () {
        yield { status: 'x' };
        throw new EngineError('data-loss', 'digest differs');
      })(),
  });
  const { containers, images } = pair.engine;
  await assert.rejects(containers.start('a'), (error) => isKind(error, 'not-modified'));
  await assert.rejects(containers.inspect('a'), { message: 'No such container: a' });
  await assert.rejects(
    containers.attach('a', { stream: true }),
    (error) => isKind(error, 'conflict') && /a is paused/.test(String(error)),
  );
  await assert.rejects(
    async () => {
      for await (const _ of images.pull('a'));
    },
    { message: 'digest differs' },
  );
});

test('a build keeps its options', async () => {
  await using pair = await connected({ build: nothing });
  const options: BuildOptions = {
    dockerfile: 'd/File',
    t: ['a', 'b:1'],
    buildargs: { A: '1', B: null },
    labels: { l: 'v' },
    nocache: true,
    target: 's',
    memory: 1 << 20,
    shmsize: 5,
    networkmode: 'none',
    extrahosts: ['h:1.2.3.4'],
    auths: { 'r.example': { username: 'u' } },
  };
  for await (const _ of pair.engine.build(fromBytes('x'), options));
  const got = said(pair.api.lastArgs[1]) as BuildOptions;
  assert.deepEqual(got, { ...options, q: false, pull: false, rm: true, forcerm: false, keepfailed: false });
});

test('a build from a listing asks its client for contents, and shows him no question', async () => {
  const got: string[] = [];
  await using pair = await connected({
    buildListed: async function* (context: ListedContext): AsyncGenerator<ProgressMessage> {
      const asked: ProgressMessage[] = [];
      const ask = async (entries: readonly number[]) => {
        const how = { report: (message: ProgressMessage) => asked.push(message), signal: new AbortController().signal };
        const copied = await Array.fromAsync(context.send(entries, how), (chunk) => Buffer.from(chunk));
        return Buffer.concat(copied).toString();
      };
      yield { stream: context.listing.toString() };
      const first = ask([0, 1, 2, 7]);
      yield asked.shift()!;
      got.push(await first);
      const second = ask([3]);
      yield asked.shift()!;
      got.push(await second);
      yield { stream: 'built' };
    } as never,
  });
  const listed: ListedContext = {
    listing: Buffer.from('a listing'),
    send: (entries) => fromBytes(`contents of ${entries.join()}`),
  };
  const shown = await Array.fromAsync(pair.engine.buildListed(listed, { t: ['a'] }));
  assert.deepEqual(shown, [{ stream: 'a listing' }, { stream: 'built' }]);
  assert.deepEqual(got, ['contents of 0,1,2,7', 'contents of 3']);
  assert.deepEqual((pair.api.lastArgs[1] as BuildOptions).t, ['a']);
  for (const [query, status, words] of [
    ['remote=http://x/', 400, /a build from a listing has no remote context/],
    ['version=2', 501, /BuildKit builds no listings/],
    ['squash=2x&outputs=x', 501, /outputs/],
  ] as const) {
    const refused = await pair.api.send(`POST /wherry/v1/build?${query}`, { body: 'x' });
    assert.equal(refused.status, status, refused.body);
    assert.match(refused.body, words);
  }
  const stray = await pair.api.send('POST /wherry/v1/build/files/0123', { body: 'x' });
  assert.deepEqual([stray.status, stray.body], [404, '{"message":"no build asks for files as \\"0123\\""}\n']);
});

test('a content that cannot be sent ends the build with what its owner says', async () => {
  await using pair = await connected({
    buildListed: async function* (context: ListedContext, { signal }: { signal: AbortSignal }) {
      const asked = Promise.withResolvers<ProgressMessage>();
      const contents = readAll(context.send([0], { report: asked.resolve, signal }), 1 << 20);
      contents.catch(() => {});
      yield await asked.promise;
      yield { stream: String(await contents) };
    } as never,
  });
  const send = async function* (): AsyncGenerator<Uint8Array> {
    yield Buffer.alloc(10);
    throw new EngineError('data-loss', 'f changed while it was read');
  };
  const messages = pair.engine.buildListed({ listing: Buffer.from('x'), send });
  await assert.rejects(Array.fromAsync(messages), { message: 'f changed while it was read' });
});

test('attached streams and logs are framed alike at both ends', async () => {
  const got: string[] = [];
  const ended = Promise.withResolvers<void>();
  await using pair = await connected({
    'containers.attach': async () => ({
      tty: false,
      output: (async function* () {
        yield { stream: 'stderr', data: Buffer.from('err') };
        await ended.promise;
        yield { stream: 'stdout', data: Buffer.from(got.join('')) };
      })(),
      write: async (data: Uint8Array) => {
        got.push(Buffer.from(data).toString());
      },
      closeInput: async () => ended.resolve(),
      [Symbol.asyncDispose]: async () => ended.resolve(),
    }),
    'containers.logs': async () => ({
      tty: true,
      wire: fromBytes('log'),
    }),
  });
  const { containers } = pair.engine;
  await using attached = await containers.attach('a', { stdin: true, stdout: true, stderr: true, stream: true });
  await attached.write(Buffer.from('in'));
  await attached.write(Buffer.from('put'));
  await attached.closeInput();
  const output: string[] = [];
  for await (const chunk of attached.output) output.push(`${chunk.stream}:${Buffer.from(chunk.data)}`);
  assert.deepEqual(output, ['stderr:err', 'stdout:input']);
  const logs = await containers.logs('a', { stdout: true, tail: '5', since: '1.5' });
  assert.equal(logs.tty, true);
  for await (const chunk of logs.output) assert.equal(Buffer.from(chunk.data).toString(), 'log');
  assert.deepEqual(said(pair.api.lastArgs[1]), {
    stdout: true,
    stderr: false,
    follow: false,
    timestamps: false,
    details: false,
    since: '1.5',
    tail: '5',
  });
});

test('a wait is in place before it answers, events and faults stream', async () => {
  const exit = Promise.withResolvers<{ StatusCode: number }>();
  await using pair = await connected({
    'containers.wait': async () => ({ accepted: true, result: exit.promise }),
    'system.events': () =>
      (async function* () {
        yield { Type: 'image', Action: 'tag' };
      })(),
    'system.verify': () =>
      (async function* () {
        yield 'one fault';
      })(),
  });
  const { result } = await pair.engine.containers.wait('a', { condition: 'next-exit' });
  exit.resolve({ StatusCode: 3 });
  assert.deepEqual(await result, { StatusCode: 3 });
  for await (const event of pair.engine.system.events({ since: '1', filters })) assert.equal(event.Action, 'tag');
  const faults: string[] = [];
  for await (const fault of pair.engine.system.verify()) faults.push(fault);
  assert.deepEqual(faults, ['one fault']);
});
