/** Builds whose context comes as a listing: what the same context gives as a tar, whoever sends it, and what of it is sent. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { link, lstat, mkdir, readdir, rename, rm, symlink, truncate, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import type { Engine, ListedContext, ProgressMessage } from '#api-types';
import { listFolder } from '#cli';
import { connect } from '#client';
import { requireRoot, temporaryFolder } from '#testing';
import { baseImageTar } from '../../scripts/base-image.ts';
import { TestDaemon } from '../support/daemon.ts';
import { withBuilds } from './build-fixture.ts';

/** Files that changed later than this before a listing are read again; see docs/build-protocol.md. */
const settledMs = 2_200;

interface Built {
  readonly id: string;
  readonly steps: readonly string[];
  /** Bytes of contents. */
  readonly sentBytes: number;
}

async function run(messages: AsyncIterable<ProgressMessage>): Promise<{ id: string; steps: string[] }> {
  let id = '';
  const steps: string[] = [];
  for await (const { stream, aux } of messages) {
    if (stream?.startsWith('Step ')) steps.push('');
    if (stream?.includes('Using cache')) steps[steps.length - 1] = 'cached';
    id = (aux as { ID?: string } | undefined)?.ID ?? id;
  }
  return { id, steps };
}

async function buildListed(engine: Engine, root: string, options: Parameters<Engine['build']>[1] = {}): Promise<Built> {
  const context = await listFolder(root, 'Dockerfile');
  let sentBytes = 0;
  const counting: ListedContext = {
    listing: context.listing,
    async *send(numbers, how) {
      for await (const chunk of context.send(numbers, how)) {
        sentBytes += chunk.byteLength;
        yield chunk;
      }
    },
  };
  return { ...(await run(engine.buildListed(counting, options))), sentBytes };
}

const buildTar = async (engine: Engine, root: string, options: Parameters<Engine['build']>[1] = {}) =>
  await run(engine.build((await listFolder(root, 'Dockerfile')).tar!(), options));

async function withDaemon(
  t: Parameters<typeof requireRoot>[0],
  work: (engine: Engine, root: string, daemon: TestDaemon) => Promise<void>,
): Promise<void> {
  if (!requireRoot(t)) return;
  await using folder = await temporaryFolder();
  await using daemon = await TestDaemon.start();
  await using engine = connect(daemon.host);
  for await (const _ of engine.images.import(one(baseImageTar()), { repo: 'base' }));
  await work(engine, folder.path, daemon);
}

async function* one(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

/** Every kind of file there is, and names that are no text. */
async function makeAwkward(root: string): Promise<void> {
  await mkdir(join(root, 'd/empty'), { recursive: true });
  await writeFile(join(root, 'Dockerfile'), 'FROM base\nCOPY . /all\nCOPY d /d/\n');
  await writeFile(join(root, '.dockerignore'), '*.log\nhidden\n!hidden/shown\n');
  await writeFile(join(root, 'd/plain'), 'plain', { mode: 0o4755 });
  await link(join(root, 'd/plain'), join(root, 'd/second name'));
  await symlink('plain', join(root, 'd/link'));
  await symlink('/nowhere', join(root, 'd/dangling'));
  await writeFile(Buffer.concat([Buffer.from(`${root}/d/`), Buffer.from([0xff, 0xfe, 0x22])]), 'no text');
  await writeFile(join(root, 'd/ä\n'), 'text');
  await writeFile(join(root, 'a.log'), 'left out');
  await mkdir(join(root, 'hidden'));
  await writeFile(join(root, 'hidden/shown'), 'let through');
  await writeFile(join(root, 'hidden/not'), 'left out');
  await utimes(join(root, 'd/plain'), 1, 1.75);
  execFileSync('mkfifo', [join(root, 'd/pipe')]);
  execFileSync('mknod', [join(root, 'd/null'), 'c', '1', '3']);
}

test('the docker CLI and wherry share their cache: every kind of file has one digest', async (t) => {
  await withBuilds(t, async ({ docker, folder, daemon }) => {
    const root = join(folder, 'awkward');
    await makeAwkward(root);
    await using engine = connect(daemon.host);
    const first = await docker.run(['build', '-q', '.'], { cwd: root });
    assert.equal(first.status, 0, first.stderr);
    const second = await buildListed(engine, root);
    assert.deepEqual([second.id, second.steps], [first.stdout.trim(), ['', 'cached', 'cached']]);
    await writeFile(join(root, 'd/plain'), 'other');
    const third = await buildListed(engine, root);
    assert.deepEqual(third.steps, ['', '', '']);
    const fourth = await docker.run(['build', '-q', '.'], { cwd: root });
    assert.equal(fourth.stdout.trim(), third.id, fourth.stderr);
  });
});

test('exceptions of .dockerignore let through what they do with the docker CLI', async (t) => {
  await withBuilds(t, async ({ docker, folder, daemon }) => {
    const root = join(folder, 'exceptions');
    await mkdir(join(root, 'd/s'), { recursive: true });
    for (const name of ['Dockerfile', 'd/keep', 'd/s/keep', 'd/other', 'keep']) await writeFile(join(root, name), '');
    await writeFile(join(root, 'Dockerfile'), 'FROM base\nCOPY . /all\n');
    await using engine = connect(daemon.host);
    for (const patterns of [
      'd\n!**/keep',
      'd\n!d/s/keep',
      'd\n!d*/keep',
      '*\n!d/keep',
      'd/*\n!d/s',
      '**/keep\n!keep',
    ]) {
      await writeFile(join(root, '.dockerignore'), `${patterns}\n`);
      const built = await docker.run(['build', '-q', '.'], { cwd: root });
      assert.deepEqual((await buildListed(engine, root)).steps, ['', 'cached'], `${patterns}: ${built.stderr}`);
    }
  });
});

test('nothing is sent twice; a step that runs asks for what it copies, also after a daemon that was killed', async (t) => {
  await withDaemon(t, async (engine, root, daemon) => {
    await writeFile(join(root, 'Dockerfile'), 'FROM base\nCOPY a /a\nCOPY b /b\n');
    await writeFile(join(root, 'a'), Buffer.alloc(100_000, 1));
    await writeFile(join(root, 'b'), Buffer.alloc(200_000, 2));
    await writeFile(join(root, 'unused'), Buffer.alloc(400_000, 3));
    await wait(settledMs);
    const first = await buildListed(engine, root);
    assert.ok(first.sentBytes > 300_000 && first.sentBytes < 310_000, `${first.sentBytes} bytes were sent`);
    const again = await buildListed(engine, root);
    assert.deepEqual(again, { id: first.id, steps: ['', 'cached', 'cached'], sentBytes: 0 });
    await daemon.kill();
    await daemon.start();
    assert.deepEqual(await buildListed(engine, root), again);
    await writeFile(join(root, 'b'), Buffer.alloc(200_000, 4));
    const touched = await buildListed(engine, root);
    assert.deepEqual(touched.steps, ['', 'cached', '']);
    assert.ok(touched.sentBytes > 200_000 && touched.sentBytes < 201_000, `${touched.sentBytes} bytes were sent`);
    await engine.pruneBuildCache({ all: true });
    const pruned = await buildListed(engine, root);
    assert.deepEqual(pruned.steps, ['', '', '']);
  });
});

test('random edits: what comes of a listing is what comes of the whole tar', async (t) => {
  await withDaemon(t, async (engine, root) => {
    const seed = Number(process.env['WHERRY_SEED'] ?? Date.now());
    t.diagnostic(`WHERRY_SEED=${seed}`);
    const random = numbers(seed);
    const below = (most: number) => Math.floor(random() * most);
    await writeFile(join(root, 'Dockerfile'), 'FROM base\nCOPY s /s\nCOPY s/f1* /few/\n');
    await mkdir(join(root, 's/sub'), { recursive: true });
    for (let n = 0; n < 20; n++) await writeFile(join(root, `s/${n % 3 ? '' : 'sub/'}f${n}`), `${n}`.repeat(50));
    const epoch = { buildargs: { SOURCE_DATE_EPOCH: '1000000000' } };
    for (let round = 0; round < 6; round++) {
      // Most rounds find files that have settled, and are remembered.
      if (round % 3 !== 2) await wait(settledMs);
      const listed = await buildListed(engine, root, epoch);
      const whole = await buildTar(engine, root, { ...epoch, nocache: true });
      assert.equal(listed.id, whole.id, `round ${round}`);
      for (let edits = below(4); edits >= 0; edits--) await edit(join(root, 's'), below);
    }
  });
});

function numbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

async function edit(folder: string, below: (most: number) => number): Promise<void> {
  const files = (await readdir(folder, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
  const pick = files[below(files.length)]!;
  const path = join(pick.parentPath, pick.name);
  const { atime, mtime, size } = await lstat(path);
  const edits: readonly (() => Promise<unknown>)[] = [
    () => writeFile(path, 'x'.repeat(below(200))),
    // The same size, and the time set back.
    async () => {
      await writeFile(path, String.fromCharCode(97 + below(26)).repeat(size));
      await utimes(path, atime, mtime);
    },
    // A new inode in the old one's place, perhaps with its number.
    async () => {
      await rm(path);
      await writeFile(path, 'y'.repeat(size));
      await utimes(path, atime, mtime);
    },
    () => rename(path, join(folder, `f1${below(9)}`)),
    () => truncate(path, below(size + 1)),
    () => writeFile(join(folder, `sub/f${below(40)}`), 'new'),
    () => rm(path),
    () => utimes(path, 1, 1),
  ];
  await edits[below(edits.length)]!();
}

test('a file that changes between the listing and the sending: the new bytes or an error, and never a wrong result', async (t) => {
  await withDaemon(t, async (engine, root) => {
    await writeFile(join(root, 'Dockerfile'), 'FROM base\nCOPY f /f\nRUN cat /f\n');
    await writeFile(join(root, 'f'), 'one');
    await wait(settledMs);
    const before = await listFolder(root, 'Dockerfile');
    await writeFile(join(root, 'f'), 'two');
    const torn = await run(engine.buildListed(before));
    assert.deepEqual(await buildTar(engine, root), { id: torn.id, steps: ['', 'cached', 'cached'] });
    await writeFile(join(root, 'f'), 'one');
    const other = await buildListed(engine, root);
    assert.notEqual(other.id, torn.id);
    const long = await listFolder(root, 'Dockerfile');
    await writeFile(join(root, 'f'), '1');
    await rm(join(root, 'Dockerfile'));
    await engine.pruneBuildCache({ all: true });
    await assert.rejects(run(engine.buildListed(long)), /build context: f changed while it was read/);
  });
});

test('a client that stops in the middle, and one that goes away: the build ends, and leaves nothing', async (t) => {
  await withDaemon(t, async (engine, root, daemon) => {
    await writeFile(join(root, 'Dockerfile'), 'FROM base\nCOPY f /f\n');
    await writeFile(join(root, 'f'), Buffer.alloc(3 << 20));
    const context = await listFolder(root, 'Dockerfile');
    const part = async function* (...args: Parameters<ListedContext['send']>) {
      for await (const chunk of context.send(...args)) {
        yield chunk;
        return;
      }
    };
    await assert.rejects(run(engine.buildListed({ ...context, send: part })), /files that were asked for end early/);
    const abort = new AbortController();
    const hanging = async function* (...args: Parameters<ListedContext['send']>) {
      for await (const chunk of context.send(...args)) {
        yield chunk;
        setTimeout(() => abort.abort(new Error('enough')), 50);
        await new Promise((resolve) => abort.signal.addEventListener('abort', resolve));
      }
    };
    await assert.rejects(run(engine.buildListed({ ...context, send: hanging }, { signal: abort.signal })), /enough/);
    for (let tries = 0; (await scratch(daemon)).length > 0; tries++) {
      assert.ok(tries < 100, `left: ${(await scratch(daemon)).join()}`);
      await wait(50);
    }
    const { steps } = await buildListed(engine, root);
    assert.deepEqual(steps, ['', '']);
  });
});

test('what is copied for the first time becomes a layer while it comes: the same one, and nothing when it breaks off', async (t) => {
  await withDaemon(t, async (engine, root, daemon) => {
    await makeAwkward(root);
    await writeFile(join(root, 'Dockerfile'), 'FROM base\nCOPY --chmod=u+x . /all\nRUN cat /all/a/x\n');
    await mkdir(join(root, 'a'));
    // In a listing what is in a folder comes first, in a layer a name that goes on with less than a slash.
    for (const name of ['a/x', 'a-b', 'a.c']) await writeFile(join(root, name), name);
    for (const name of ['0', 'z']) await writeFile(join(root, name), Buffer.alloc(6 << 20, name));
    const context = await listFolder(root, 'Dockerfile');
    const withheld = (until: () => Promise<unknown>): ListedContext['send'] =>
      async function* (...args) {
        const chunks = await Array.fromAsync(context.send(...args), (chunk) => Buffer.from(chunk));
        const bytes = Buffer.concat(chunks);
        yield bytes.subarray(0, -1 << 20);
        await until();
        yield bytes.subarray(-1 << 20);
      };
    const abort = new AbortController();
    const broken = withheld(async () => {
      await layerBegun(daemon);
      abort.abort(new Error('enough'));
    });
    await assert.rejects(run(engine.buildListed({ ...context, send: broken }, { signal: abort.signal })), /enough/);
    for (let tries = 0; [...(await scratch(daemon)), ...(await staged(daemon))].length > 0; tries++) {
      assert.ok(tries < 100, `left: ${(await scratch(daemon)).join()} ${(await staged(daemon)).join()}`);
      await wait(50);
    }
    const { id, steps } = await run(engine.buildListed({ ...context, send: withheld(() => layerBegun(daemon)) }));
    assert.deepEqual(steps, ['', '', '']);
    assert.deepEqual(await buildTar(engine, root), { id, steps: ['', 'cached', 'cached'] });
    assert.deepEqual(await buildTar(engine, root, { nocache: true }), { id, steps: ['', '', ''] });
  });
});

/** Layers that are being written. */
const staged = async (daemon: TestDaemon) => await readdir(join(daemon.dataRoot, 'content/ingest'));

async function layerBegun(daemon: TestDaemon): Promise<void> {
  for (let tries = 0; ; tries++) {
    for (const name of await staged(daemon)) {
      if ((await lstat(join(daemon.dataRoot, 'content/ingest', name))).size > 1 << 20) return;
    }
    assert.ok(tries < 200, 'no layer was begun');
    await wait(50);
  }
}

const scratch = async (daemon: TestDaemon) =>
  (await readdir(join(daemon.dataRoot, 'tmp'))).filter((name) => name.startsWith('build-'));
