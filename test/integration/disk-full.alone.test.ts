import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Engine } from '#api-types';
import { connect } from '#client';
import { messageOf } from '#errdefs';
import { serveRegistry } from '#registry-server';
import { Connection, text, WriteThread } from '#sqlite';
import { requireRoot, temporaryFolder } from '#testing';
import { baseImageTar } from '../../scripts/base-image.ts';
import { TestDaemon } from '../support/daemon.ts';
import { SmallDisk } from '../support/small-disk.ts';
import { absentIsFine, drain, inPieces, noise, randomOf, tarOf } from './crash-fixture.ts';

/** More are worth it now and then: WHERRY_DISK_FULL=200. */
const rounds = Number(process.env['WHERRY_DISK_FULL'] ?? 5);
const seed = Number(process.env['WHERRY_SEED'] ?? randomInt(2 ** 31));
const sizeBytes = 420 << 20;

type Call = readonly [name: string, run: (engine: Engine) => Promise<unknown>];

/** Everything that writes, each on names of its own. */
function calls(archive: Buffer, registry: string): Call[] {
  const context = (n: number) =>
    tarOf({ Dockerfile: 'FROM base\nCOPY data /data\nRUN echo made > /made\n', data: noise(n) });
  return [
    ['load', (engine) => drain(engine.images.load(inPieces(archive)))],
    ['build', (engine) => drain(engine.build(inPieces(context(300_000)), { t: ['built'], networkmode: 'none' }))],
    ['import', (engine) => drain(engine.images.import(inPieces(baseImageTar()), { repo: 'imported' }))],
    ['tag', (engine) => engine.images.tag('base', 'tagged', 'latest')],
    [
      'create',
      (engine) => engine.containers.create({ Image: 'base', Cmd: ['true'], Volumes: { '/v': {} } }, { name: 'new' }),
    ],
    ['volume', (engine) => engine.volumes.create({ Name: 'new' })],
    ['cp', (engine) => engine.containers.putArchive('kept', '/', inPieces(tarOf({ copied: noise(400_000) })))],
    [
      'commit',
      (engine) => engine.containers.inspect('kept').then(() => engine.images.commit('kept', { repo: 'committed' })),
    ],
    [
      'rename',
      (engine) => engine.containers.rename('kept', 'other').then(() => engine.containers.rename('other', 'kept')),
    ],
    ['rmi', (engine) => engine.images.remove('spare')],
    ['pull', (engine) => drain(engine.images.pull(`${registry}/pulled:1`))],
    [
      'push',
      async (engine) => {
        await drain(engine.build(inPieces(context(400_000)), { t: [`${registry}/pushed:1`], networkmode: 'none' }));
        await drain(engine.images.push(`${registry}/pushed:1`));
      },
    ],
  ];
}

async function clean(engine: Engine, registry: string): Promise<void> {
  const remote = [`${registry}/pulled:1`, `${registry}/pushed:1`];
  for (const name of ['built', 'imported', 'tagged', 'committed', 'loaded', ...remote])
    await engine.images.remove(name).catch(absentIsFine);
  await engine.containers.remove('new', { volumes: true }).catch(absentIsFine);
  await engine.volumes.remove('new').catch(absentIsFine);
  await engine.pruneBuildCache({ all: true });
  await engine.images.tag('base', 'spare', 'latest');
  await engine.trash.empty();
}

/** Said in words that tell what is the matter. */
const clear = /no space left on device|database or disk is full|bytes free on the disk/i;

test('on a full disk a call fails and says so; the rest goes on, and nothing is half there', async (t) => {
  if (!requireRoot(t)) return;
  t.diagnostic(`WHERRY_SEED=${seed}`);
  const random = randomOf(seed);
  await using disk = await SmallDisk.make(sizeBytes);
  await using elsewhere = await temporaryFolder();
  await using server = await serveRegistry({ root: elsewhere.path, addr: '127.0.0.1:0' });
  const registry = server.address;
  const flags = ['--bridge=none', '--iptables=false', '--retain=both'];
  await using daemon = await TestDaemon.start({ folder: disk.path, flags });
  await using engine = connect(daemon.host);
  await drain(engine.images.import(inPieces(baseImageTar()), { repo: 'base', changes: ['ENV PATH=/bin'] }));
  const context = tarOf({ Dockerfile: 'FROM base\nCOPY d /d\n', d: noise(500_000) });
  await drain(engine.build(inPieces(context), { t: ['loaded', `${registry}/pulled:1`] }));
  await drain(engine.images.push(`${registry}/pulled:1`));
  const archive = Buffer.concat(await Array.fromAsync(engine.images.save(['loaded'])));
  await engine.containers.create({ Image: 'base', Cmd: ['true'] }, { name: 'kept' });
  await clean(engine, registry);
  const failed = new Map<string, number>();
  for (let round = 0; round < rounds; round++) {
    disk.fill([0, 4096, 1 << random(20), random(1 << 20), (128 << 20) + random(1 << 20)][random(5)]!);
    for (const [name, run] of calls(archive, registry)) {
      try {
        await run(engine);
      } catch (error) {
        assert.match(messageOf(error), clear, `${name}: ${messageOf(error)}\n${daemon.log.slice(-3000)}`);
        failed.set(name, (failed.get(name) ?? 0) + 1);
      }
      if (random(3) === 0) disk.fill(random(4) * 4096);
    }
    assert.equal((await engine.containers.inspect('kept')).Name, '/kept');
    disk.clear();
    assert.deepEqual(await Array.fromAsync(engine.system.verify()), []);
    await clean(engine, registry);
    for (const [name, run] of calls(archive, registry)) {
      await run(engine).catch((error) =>
        assert.fail(`${name}: ${messageOf(error)}
${daemon.log.slice(-3000)}`),
      );
    }
    await clean(engine, registry);
  }
  t.diagnostic(`failed: ${JSON.stringify(Object.fromEntries(failed))}`);
  assert.deepEqual(await Array.fromAsync(engine.system.verify()), []);
});

/** What a layer finds at least, or is not begun. */
const reserveBytes = 128 << 20;

test('a write that finds no space gets that of what could be brought back', async (t) => {
  if (!requireRoot(t)) return;
  await using disk = await SmallDisk.make(sizeBytes);
  await using daemon = await TestDaemon.start({ folder: disk.path, flags: ['--bridge=none', '--iptables=false'] });
  await using engine = connect(daemon.host);
  await drain(engine.images.import(inPieces(baseImageTar()), { repo: 'base' }));
  await drain(engine.images.import(inPieces(tarOf({ big: noise(10 << 20) })), { repo: 'big' }));
  await engine.images.remove('big');
  assert.equal((await engine.trash.list()).length, 1);
  disk.fill(reserveBytes - (5 << 20));
  assert.equal((await engine.trash.list()).length, 1);
  await drain(engine.images.import(inPieces(tarOf({ small: noise(1 << 20) })), { repo: 'small' }));
  assert.deepEqual(await engine.trash.list(), []);
  assert.deepEqual(await Array.fromAsync(engine.system.verify()), []);

  disk.fill(reserveBytes - (5 << 20));
  await assert.rejects(drain(engine.images.import(inPieces(tarOf({ more: noise(1 << 20) })))), clear);
});

test('what comes once, or runs in a container, finds the space of what could be brought back', async (t) => {
  if (!requireRoot(t)) return;
  await using disk = await SmallDisk.make(sizeBytes);
  const flags = ['--bridge=none', '--iptables=false', '--undo-min-free=0', '--layer-reserve=0'];
  await using daemon = await TestDaemon.start({ folder: disk.path, flags });
  await using engine = connect(daemon.host);
  await drain(engine.images.import(inPieces(baseImageTar()), { repo: 'base', changes: ['ENV PATH=/bin'] }));
  const config = { Image: 'base', Cmd: ['sleep', '1000'], HostConfig: { NetworkMode: 'none' } };
  await engine.containers.create(config, { name: 'box' });
  const context = { Dockerfile: 'FROM base\nCOPY few /few\n', few: 'few', much: noise(9 << 20) };
  const calls: Record<string, () => Promise<unknown>> = {
    cp: () => engine.containers.putArchive('box', '/', inPieces(tarOf({ copied: noise(9 << 20) }))),
    build: () => drain(engine.build(inPieces(tarOf(context)), { t: ['built'], networkmode: 'none' })),
    start: () => engine.containers.start('box'),
  };
  for (const [name, call] of Object.entries(calls)) {
    await drain(engine.images.import(inPieces(tarOf({ big: noise(20 << 20) })), { repo: 'big' }));
    await engine.images.remove('big');
    assert.equal((await engine.trash.list()).length, 1, name);
    disk.fill(0);
    await call().catch((error) => assert.fail(`${name}: ${messageOf(error)}`));
    assert.deepEqual(await engine.trash.list(), [], name);
    disk.clear();
  }
  await engine.containers.kill('box');
  assert.deepEqual(await Array.fromAsync(engine.system.verify()), []);
});

/** A server on loopback with a file, and a git repository with it where there is git. */
async function serveFiles(folder: string, content: Buffer) {
  const repository = join(folder, 'repository');
  mkdirSync(repository);
  writeFileSync(join(repository, 'much'), content);
  writeFileSync(join(repository, 'Dockerfile'), 'FROM base\nCOPY much /much\n');
  const git = (...args: string[]) =>
    spawnSync('git', ['-c', 'user.name=x', '-c', 'user.email=x@y', ...args], { cwd: repository }).status === 0;
  const hasGit = git('init', '-q', '-b', 'main') && git('add', '.') && git('commit', '-q', '-m', 'all');
  if (hasGit) git('update-server-info');
  const context = tarOf({ Dockerfile: 'FROM base\nCOPY much /much\n', much: content });
  const server = createServer((request, response) => {
    const path = decodeURIComponent(request.url!.split('?')[0]!);
    const body = path === '/context.tar' ? context : path.includes('..') ? undefined : readIfThere(join(folder, path));
    if (body) response.end(body);
    else response.writeHead(404).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { url, hasGit, [Symbol.dispose]: () => void server.close() };
}

function readIfThere(path: string): Buffer | undefined {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ? readFileSync(path) : undefined;
}

test('what a build takes from elsewhere finds the space of what could be brought back', async (t) => {
  if (!requireRoot(t)) return;
  await using disk = await SmallDisk.make(sizeBytes);
  await using elsewhere = await temporaryFolder();
  using web = await serveFiles(elsewhere.path, Buffer.from(noise(20 << 20)));
  const flags = ['--bridge=none', '--iptables=false', '--undo-min-free=0', '--layer-reserve=0'];
  await using daemon = await TestDaemon.start({ folder: disk.path, flags });
  await using engine = connect(daemon.host);
  await drain(engine.images.import(inPieces(baseImageTar()), { repo: 'base' }));
  const add = tarOf({ Dockerfile: `FROM base\nADD ${web.url}/repository/much /much\n` });
  const calls: Record<string, () => Promise<unknown>> = {
    context: () => drain(engine.build(inPieces(Buffer.alloc(0)), { remote: `${web.url}/context.tar` })),
    add: () => drain(engine.build(inPieces(add))),
  };
  const git = () => drain(engine.build(inPieces(Buffer.alloc(0)), { remote: `${web.url}/repository/.git` }));
  for (const [name, call] of Object.entries(web.hasGit ? { ...calls, git } : calls)) {
    await drain(engine.images.import(inPieces(tarOf({ big: noise(120 << 20) })), { repo: 'big' }));
    await engine.images.remove('big');
    assert.equal((await engine.trash.list()).length, 1, name);
    // Enough to begin with.
    disk.fill(18 << 20);
    await call().catch((error) => assert.fail(`${name}: ${messageOf(error)}`));
    assert.deepEqual(await engine.trash.list(), [], name);
    disk.clear();
    await engine.pruneBuildCache({ all: true });
    await engine.images.prune();
    await engine.trash.empty();
  }
  assert.deepEqual(await Array.fromAsync(engine.system.verify()), []);
});

test('a database goes on for a while on a disk without a byte left, and ends whole', async (t) => {
  if (!requireRoot(t)) return;
  await using disk = await SmallDisk.make(64 << 20);
  const path = join(disk.path, 'notes.db');
  const entry = new URL('../../src/sqlite/testdata/notes.worker.ts', import.meta.url);
  const note = (n: number) => ({ text: `${n} ${'x'.repeat(300)}` });
  const written: string[] = [];
  {
    await using thread = await WriteThread.open(entry, path);
    for (let n = 0; n < 20; n++) await thread.run(note(n)).then(() => written.push(note(n).text));
    for (let at = 0; at < 4; at++) disk.fill(0);
    for (let n = 20; n < 60; n++) await thread.run(note(n)).then(() => written.push(note(n).text));
    await assert.rejects(async () => {
      for (let n = 60; n < 10_000; n++) await thread.run(note(n)).then(() => written.push(note(n).text));
    }, clear);
  }
  disk.clear();
  {
    await using thread = await WriteThread.open(entry, path);
    await thread.run({ text: 'last' });
  }
  const reader = new Connection(path, { readOnly: true });
  const found = reader.all('SELECT text FROM notes ORDER BY rowid').map((row) => text(row, 'text'));
  reader.close();
  assert.deepEqual(found, [...written, 'last']);
});

test('on a disk without a byte left things can still be removed', async (t) => {
  if (!requireRoot(t)) return;
  await using disk = await SmallDisk.make(sizeBytes);
  await using daemon = await TestDaemon.start({ folder: disk.path, flags: ['--bridge=none', '--iptables=false'] });
  await using engine = connect(daemon.host);
  await drain(engine.images.import(inPieces(baseImageTar()), { repo: 'base' }));
  await engine.containers.create({ Image: 'base', Cmd: ['true'], Volumes: { '/v': {} } }, { name: 'box' });
  for (let at = 0; at < 4; at++) disk.fill(0);
  await engine.containers.remove('box', { volumes: true });
  await engine.images.remove('base');
  disk.clear();
  assert.deepEqual(await engine.images.list(), []);
  assert.deepEqual(await Array.fromAsync(engine.system.verify()), []);
});
