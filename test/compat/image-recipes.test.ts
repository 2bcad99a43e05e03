/** `--dedup=files` where the file system shares no blocks: layers read files of each other, and nobody sees it but the disk. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import type { FileUsage } from '#api-types';
import { connect } from '#client';
import { canShare } from '#image-files';
import { requireRoot, temporaryFolder } from '#testing';
import { baseImageTar } from '../../scripts/base-image.ts';
import { TestDaemon } from '../support/daemon.ts';
import { home, imageSetup, load, type Setup, tarOf, verify } from './images-fixture.ts';

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const well = { status: 0, output: 'everything is well\n' };

async function setUp(t: TestContext): Promise<Setup | undefined> {
  const setup = await imageSetup(t, ['--dedup=files']);
  if (setup && canShare(setup.folder)) {
    t.skip('the temporary folder is on a file system that shares blocks');
    await setup[Symbol.asyncDispose]();
    return undefined;
  }
  return setup;
}

function wherry({ daemon }: Setup, ...args: string[]): Buffer {
  const program = join(home, 'bin/wherry');
  const { status, stdout, stderr } = spawnSync(program, ['-H', daemon.host, ...args], { maxBuffer: 256 << 20 });
  assert.equal(status, 0, stderr.toString());
  return stdout;
}

async function usage({ daemon }: Setup): Promise<FileUsage> {
  await using engine = connect(daemon.host);
  return await engine.system.fileUsage({ groups: 0 });
}

async function until(setup: Setup, what: string, isSo: () => Promise<boolean> | boolean): Promise<void> {
  for (let tries = 0; !(await isSo()); tries++) {
    assert.ok(tries < 120, `${what}\n${setup.daemon.log}`);
    await wait(250);
  }
}

const hexes = (setup: Setup, folder: string) => {
  const path = join(setup.daemon.dataRoot, 'content', folder, 'sha256');
  return existsSync(path) ? readdirSync(path) : [];
};

/** On the disk, with everything that belongs to layers. */
function bytesUsed({ daemon }: Setup): number {
  const line = execFileSync('du', ['-s', '-B1', join(daemon.dataRoot, 'content'), join(daemon.dataRoot, 'layers')]);
  return [...line.toString().matchAll(/^(\d+)/gm)].reduce((sum, [, bytes]) => sum + Number(bytes), 0);
}

/** Files as versions of a program have them: most stay, in other places of another tar. */
function versions() {
  const same = Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`lib/f${i}`, randomBytes(1000 + i * 997)]));
  const big = randomBytes(3_000_001);
  const trees = [1, 2, 3].map((version) => ({
    [`version-${version}`]: randomBytes(1 + version * 700),
    ...same,
    [`lib/own-${version}`]: randomBytes(40_000),
    'usr/big': big,
    'usr/twice': big,
    zeros: Buffer.alloc(300_000),
  }));
  return { trees, sharedBytes: Object.values(same).reduce((sum, { length }) => sum + length, big.length) };
}

const listing = (files: Readonly<Record<string, Uint8Array>>) =>
  Object.entries(files).map(([path, bytes]) => `${sha256(bytes)}  /${path}`);

async function sums({ docker }: Setup, image: string, files: Readonly<Record<string, Uint8Array>>): Promise<string[]> {
  const paths = Object.keys(files).map((path) => `/${path}`);
  const text = await docker.ok('run', '--rm', '--network', 'none', image, 'sha256sum', ...paths);
  return text.trimEnd().split('\n');
}

test('copies take no room of their own, and every way to the bytes gives what was there', async (t) => {
  await using setup = await setUp(t);
  if (!setup) return;
  const { docker, daemon } = setup;
  const { trees, sharedBytes } = versions();
  const base = baseImageTar();
  const ids: string[] = [];
  for (const [at, tree] of trees.entries())
    ids.push(await load(setup, { layers: [base, tarOf(tree)], tags: [`app:${at}`] }));
  const whole = bytesUsed(setup);
  const wanted = 2 * sharedBytes + 3_000_000;
  // A mount of before goes on with what it has open.
  const before = (await docker.ok('run', '-d', '--network', 'none', 'app:1', 'sleep', '1000')).trim();
  await until(setup, 'files shared', async () => (await usage(setup)).sharedBytes! >= wanted);
  await until(setup, 'recipes', () => hexes(setup, 'recipes').length >= 2);
  assert.deepEqual(
    (await docker.ok('exec', before, 'sha256sum', '/usr/big')).split(' ')[0],
    sha256(trees[1]!['usr/big']!),
  );
  await docker.ok('rm', '-f', before);
  await until(setup, `less than ${whole} bytes`, () => bytesUsed(setup) < whole - 0.9 * wanted);
  assert.deepEqual(verify(setup), well);

  for (const [at, tree] of trees.entries()) {
    assert.deepEqual(await sums(setup, `app:${at}`, tree), listing(tree));
    for (const path of ['lib/f7', 'usr/twice', `lib/own-${at + 1}`])
      assert.equal(sha256(wherry(setup, 'cat', `app:${at}`, path)), sha256(tree[path as keyof typeof tree]!), path);
  }
  const id = (await docker.ok('create', 'app:2')).trim();
  const copied = join(setup.folder, 'copied');
  await docker.ok('cp', `${id}:/usr/big`, copied);
  assert.equal(sha256(readFileSync(copied)), sha256(trees[2]!['usr/big']!));
  await docker.ok('rm', id);
  const changed = wherry(setup, 'diff', 'app:0', 'app:2').toString();
  assert.ok(!changed.includes('lib/f7') && changed.includes('own-3'), changed);
  wherry(setup, 'history', '--blame', 'app:2');

  const saved = join(setup.folder, 'saved.tar');
  await docker.ok('save', '-o', saved, 'app:0', 'app:1', 'app:2');
  await daemon.stop();
  await daemon.start();
  assert.deepEqual(await sums(setup, 'app:1', trees[1]!), listing(trees[1]!));
  assert.deepEqual(verify(setup), well);
  const placed = join(daemon.dataRoot, 'layers/placed');
  const [name] = readdirSync(placed);
  const bytes = readFileSync(join(placed, name!));
  bytes[bytes.length >> 1]! ^= 1;
  writeFileSync(join(placed, name!), bytes);
  assert.match(verify(setup).output, new RegExp(`^layers/placed/${name}: `));
  bytes[bytes.length >> 1]! ^= 1;
  writeFileSync(join(placed, name!), bytes);
  await docker.ok('rmi', 'app:0', 'app:1', 'app:2');
  wherry(setup, 'trash', 'empty');
  await docker.ok('load', '-qi', saved);
  assert.equal((await docker.ok('images', '-q', '--no-trunc', 'app:2')).trim(), ids[2]);
  assert.deepEqual(await sums(setup, 'app:2', trees[2]!), listing(trees[2]!));
  assert.deepEqual(verify(setup), well);
});

test('a layer that others read from goes when they have its bytes back, also without the option', async (t) => {
  await using setup = await setUp(t);
  if (!setup) return;
  const { docker, daemon } = setup;
  const { trees } = versions();
  const [first, second] = [tarOf(trees[0]!), tarOf(trees[1]!)];
  await load(setup, { layers: [baseImageTar(), first], tags: ['app:0'] });
  await load(setup, { layers: [baseImageTar(), second], tags: ['app:1'] });
  await until(setup, 'a recipe for the second', () => hexes(setup, 'recipes').includes(sha256(second)));
  await docker.ok('rmi', 'app:0');
  assert.deepEqual(verify(setup), well);
  // An undo finds it as it was.
  wherry(setup, 'undo');
  assert.deepEqual(await sums(setup, 'app:0', trees[0]!), listing(trees[0]!));
  await docker.ok('rmi', 'app:0');
  await daemon.stop();
  const off = await TestDaemon.start({ folder: daemon.folder, flags: ['--bridge=none', '--iptables=false'] });
  try {
    wherry(setup, 'trash', 'empty');
    await until(setup, 'the first goes', () => !hexes(setup, 'blobs').includes(sha256(first)));
    assert.deepEqual(await sums(setup, 'app:1', trees[1]!), listing(trees[1]!));
    assert.deepEqual(verify(setup), well);
  } finally {
    await off.stop();
  }
});

test('a flipped byte is named with all that read it, and comes back with the layer', async (t) => {
  await using setup = await setUp(t);
  if (!setup) return;
  const { docker, daemon } = setup;
  const { trees } = versions();
  const layers = [tarOf(trees[0]!), tarOf(trees[1]!)];
  for (const [at, layer] of layers.entries()) await load(setup, { layers: [layer], tags: [`app:${at}`] });
  const reader = sha256(layers[1]!);
  await until(setup, 'a recipe for the second', () => hexes(setup, 'recipes').includes(reader));
  const saved = join(setup.folder, 'saved.tar');
  await docker.ok('save', '-o', saved, 'app:0', 'app:1');
  const path = join(daemon.dataRoot, 'content/blobs/sha256', sha256(layers[0]!));
  const bytes = readFileSync(path);
  const at = bytes.indexOf(trees[0]!['usr/big']!.subarray(0, 64));
  bytes[at + 1000]! ^= 1;
  writeFileSync(path, bytes);
  const { status, output } = verify(setup);
  assert.equal(status, 1);
  for (const layer of layers) assert.match(output, new RegExp(`blob sha256:${sha256(layer)}: its bytes have digest`));
  assert.match(output, /hurts image docker.io\/library\/app:0, image docker.io\/library\/app:1/);
  await docker.ok('load', '-qi', saved);
  assert.deepEqual(verify(setup), well);
  assert.ok(!hexes(setup, 'recipes').includes(reader));
});

test('a mode that is none is refused by name', async (t) => {
  if (!requireRoot(t)) return;
  await using folder = await temporaryFolder();
  await writeFile(join(folder.path, 'daemon.json'), '{"dedup":"all"}');
  const flags = ['--config-file', join(folder.path, 'daemon.json')];
  await assert.rejects(TestDaemon.start({ flags, folder: folder.path }), /invalid dedup: all: it is none or files/);
});
