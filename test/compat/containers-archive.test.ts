/** `GET /containers/{id}/archive` of more than a client takes at a time. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { chown, mkdir, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { readAll } from '#streams';
import { containerSetup } from './containers-fixture.ts';

/** Reads an answer with a pause after each piece. */
async function* slowly(host: string, path: string, pauseMs: number): AsyncGenerator<Uint8Array> {
  const asked = request({ socketPath: host.slice('unix://'.length), path }).end();
  const answer = await new Promise<AsyncIterable<Buffer>>((resolve, reject) => {
    asked.on('response', resolve);
    asked.on('error', reject);
  });
  for await (const piece of answer) {
    yield Uint8Array.from(piece);
    if (pauseMs > 0) await wait(pauseMs);
  }
}

test('large files come out of a container byte for byte, however fast they are taken', async (t) => {
  await using setup = await containerSetup(t);
  if (!setup) return;
  const { daemon, docker, folder } = setup;
  const large = randomBytes((9 << 20) + 777);
  const files = [
    large,
    randomBytes(1 << 20),
    randomBytes(2 << 20),
    randomBytes(70_000),
    Buffer.alloc(0),
    randomBytes(5),
  ];
  const tree = join(folder, 'tree');
  await mkdir(tree);
  for (const [at, bytes] of files.entries()) await writeFile(join(tree, String(at)), bytes);
  await docker.ok('create', '--name', 'full', 'base', 'true');
  await docker.ok('cp', tree, 'full:/tree');
  for (const pauseMs of [0, 3]) {
    const tar = await readAll(slowly(daemon.host, '/containers/full/archive?path=/tree', pauseMs), 64 << 20);
    let at = 512; // behind the folder
    for (const [number, bytes] of files.entries()) {
      assert.equal(tar.toString('latin1', at, tar.indexOf(0, at)), `tree/${number}`);
      assert.ok(
        tar.subarray(at + 512, at + 512 + bytes.length).equals(bytes),
        `file ${number}, pauses of ${pauseMs} ms`,
      );
      at += 512 + Math.ceil(bytes.length / 512) * 512;
    }
    assert.equal(tar.length, at + 1024);
  }
  await docker.ok('rm', 'full');
});

test("files that are copied in keep their owners; with -a they are the container user's", async (t) => {
  await using setup = await containerSetup(t);
  if (!setup) return;
  const { docker, folder } = setup;
  const file = join(folder, 'owned');
  await writeFile(file, 'x');
  await chown(file, 1000, 1001);
  await docker.ok('run', '-d', '--name', 'mine', '--user', '5:6', 'base', 'sleep', '1000');
  await docker.ok('run', '-d', '--name', 'nobodys', 'base', 'sleep', '1000');
  for (const [name, plain, archive] of [
    ['mine', '1000:1001', '5:6'],
    ['nobodys', '1000:1001', '1000:1001'],
  ] as const) {
    await docker.ok('cp', file, `${name}:/plain`);
    await docker.ok('cp', '-a', file, `${name}:/archive`);
    const stdout = await docker.ok('exec', '-u', '0', name, 'stat', '-c', '%u:%g', '/plain', '/archive');
    assert.deepEqual(stdout.trim().split('\n'), [plain, archive]);
  }
  await docker.ok('create', '--name', 'lost', '--user', 'nosuch', 'base', 'true');
  await docker.ok('cp', file, 'lost:/plain');
  const refused = await docker.run(['cp', '-a', file, 'lost:/archive']);
  assert.notEqual(refused.status, 0);
  assert.match(refused.stderr, /failed to look up user "nosuch" in container: no matching entries in passwd file/);
  await docker.ok('rm', '-f', 'mine', 'nobodys', 'lost');
  await docker.run(['build', '-t', 'bare', '-'], { input: 'FROM scratch\nLABEL a=b\n' });
  for (const [user, kind, name] of [
    ['nosuch', 'user', 'nosuch'],
    ['5:none', 'group', 'none'],
  ] as const) {
    await docker.ok('create', '--name', 'bare', '--user', user, 'bare', 'true');
    const { stderr } = await docker.run(['cp', '-a', file, 'bare:/archive']);
    const path = kind === 'user' ? '/etc/passwd' : '/etc/group';
    const said = `failed to look up ${kind} "${name}" in container: open ${path}: no such file or directory`;
    assert.ok(stderr.includes(said), stderr);
    await docker.ok('rm', 'bare');
  }
});

test('what a container may not write is not written for it, running or not', async (t) => {
  await using setup = await containerSetup(t);
  if (!setup) return;
  const { docker, folder } = setup;
  const file = join(folder, 'small');
  await writeFile(file, 'x');
  const into = async (place: string) => {
    const { status, stderr } = await docker.run(['cp', file, place]);
    return status === 0 ? 'copied' : stderr.trim().replace('Error response from daemon: ', '');
  };
  const volumes = ['-v', 'kept:/kept:ro', '-v', 'open:/open'];
  const locked = 'mounted volume is marked read-only';
  await docker.ok('create', '--name', 'stopped', ...volumes, 'base', 'true');
  await docker.ok('run', '-d', '--name', 'running', '--read-only', ...volumes, 'base', 'sleep', '1000');
  for (const name of ['stopped', 'running']) {
    assert.equal(await into(`${name}:/kept/`), locked);
    assert.equal(await into(`${name}:/open/`), 'copied');
  }
  await docker.ok('cp', file, 'stopped:/openly');
  for (const path of ['/', '/open/..', '/etc/']) {
    assert.equal(await into(`running:${path}`), 'container rootfs is marked read-only');
  }
  assert.equal(await docker.ok('run', '--rm', '-v', 'kept:/x', 'base', 'ls', '/x'), '');
  await docker.ok('run', '-d', '--name', 'linked', ...volumes, 'base', 'sleep', '1000');
  await docker.ok('exec', 'linked', 'ln', '-s', '/kept', '/way');
  assert.equal(await into('linked:/way/'), locked);
  await docker.ok('rm', '-f', 'stopped', 'running', 'linked');
  await docker.ok('volume', 'rm', 'kept', 'open');
});
