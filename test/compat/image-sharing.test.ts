/** `--dedup=files` on a btrfs of the test's own: equal files of layers share their blocks, and nobody sees it but the disk. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import type { FileUsage } from '#api-types';
import { connect } from '#client';
import { requireRoot, temporaryFolder } from '#testing';
import { BtrfsDisk } from '../support/btrfs-disk.ts';
import { TestDaemon } from '../support/daemon.ts';
import { DockerCli, findDockerCli } from '../support/docker-cli.ts';
import { load, type Setup, tarOf, verify } from './images-fixture.ts';

function usedBytes({ path }: BtrfsDisk): number {
  execFileSync('btrfs', ['filesystem', 'sync', path]);
  const { blocks, bfree, bsize } = statfsSync(path);
  return (blocks - bfree) * bsize;
}

async function setUp(t: TestContext): Promise<(Setup & { readonly disk: BtrfsDisk }) | undefined> {
  if (!requireRoot(t)) return undefined;
  const cli = findDockerCli();
  if ('missing' in cli) {
    t.skip(cli.missing);
    return undefined;
  }
  await using owned = new AsyncDisposableStack();
  const folder = owned.use(await temporaryFolder()).path;
  const held = await BtrfsDisk.make(t, 1 << 30);
  if (!held) return undefined;
  owned.use(held);
  const flags = ['--bridge=none', '--iptables=false', '--dedup=files'];
  const daemon = owned.use(await TestDaemon.start({ flags, folder: held.path }));
  const docker = new DockerCli(cli.path, daemon.host, join(folder, 'config'));
  const all = owned.move();
  return { daemon, docker, folder, disk: held, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

const program = join(import.meta.dirname, '..', '..', 'bin/wherry');

function wherry({ daemon }: Setup, ...args: string[]): Buffer {
  const { status, stdout, stderr } = spawnSync(program, ['-H', daemon.host, ...args], { maxBuffer: 256 << 20 });
  assert.equal(status, 0, stderr.toString());
  return stdout;
}

async function usage({ daemon }: Setup): Promise<FileUsage> {
  await using engine = connect(daemon.host);
  return await engine.system.fileUsage({ groups: 0 });
}

async function untilShared(setup: Setup, bytes: number): Promise<FileUsage> {
  for (let tries = 0; ; tries++) {
    const found = await usage(setup);
    if (found.sharedBytes! >= bytes) return found;
    assert.ok(tries < 120, `${found.sharedBytes} of ${bytes} bytes shared\n${setup.daemon.log}`);
    await wait(500);
  }
}

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

test('copies take no room of their own; tars, mounts and a restart are none the wiser', async (t) => {
  await using setup = await setUp(t);
  if (!setup) return;
  const { docker, daemon } = setup;
  const content = randomBytes(6 << 20);
  const other = randomBytes(1 << 20);
  // The second begins elsewhere in a block, by one header, and can only be kept apart.
  const layers = [
    tarOf({ a: content }),
    tarOf({ x: other, 'opt/b': content }),
    tarOf({ empty: '', c: content, d: other }),
    tarOf({ again: content, 'a/second/time': content }),
  ];
  assert.equal((await usage(setup)).sharedBytes, 0);
  for (const [at, layer] of layers.entries()) await load(setup, { layers: [layer], tags: [`image:${at}`] });
  const before = 5 * content.length;
  const report = await usage(setup);
  await untilShared(setup, report.sharableBytes);
  assert.ok(report.sharableBytes > 1.9 * content.length, JSON.stringify(report));
  const used = usedBytes(setup.disk);
  assert.ok(used < before - 1.9 * content.length + (7 << 20), `${used} bytes are used for ${before}`);
  // Every way to the bytes gives what was there.
  for (const path of ['a', 'opt/b', 'c', 'again']) {
    const at = ['a', 'opt/b', 'c', 'again'].indexOf(path);
    assert.equal(sha256(wherry(setup, 'cat', `image:${at}`, path)), sha256(content), path);
  }
  const id = (await docker.ok('create', 'image:3')).trim();
  const copied = join(setup.folder, 'copied');
  await docker.ok('cp', `${id}:/again`, copied);
  assert.equal(sha256(readFileSync(copied)), sha256(content));
  assert.equal(verify(setup).status, 0, verify(setup).output);
  const saved = join(setup.folder, 'saved.tar');
  await docker.ok('save', '-o', saved, 'image:2');
  await docker.ok('rm', id);
  await docker.ok('rmi', 'image:2');
  await docker.ok('load', '-qi', saved);
  // Known layers are not looked at again.
  await daemon.stop();
  await daemon.start();
  await untilShared(setup, report.sharableBytes);
  assert.equal(verify(setup).status, 0, verify(setup).output);
});
