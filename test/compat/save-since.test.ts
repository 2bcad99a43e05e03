/** `save --since`: what one machine sends another that has the version before, with the commands people type. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { home, imageSetup, load, type Setup, tarOf, verify } from './images-fixture.ts';

const program = join(home, 'bin/wherry');

function wherry(setup: Setup, args: readonly string[], input?: string) {
  return spawnSync(program, ['-H', setup.daemon.host, ...args], {
    cwd: setup.folder,
    encoding: 'utf8',
    ...(input === undefined ? {} : { input }),
  });
}

function ok(setup: Setup, args: readonly string[], input?: string): string {
  const ran = wherry(setup, args, input);
  assert.equal(ran.status, 0, ran.stderr);
  return ran.stdout;
}

const sizeOf = async (path: string) => (await stat(path)).size;
const large = randomBytes(8 << 20);

/** One daemon with both versions of an image, whose large layer differs in 60 KB here and there, and one with the first. */
async function withSides(
  t: TestContext,
  work: (here: Setup, there: Setup, id: string, folder: string) => Promise<void>,
): Promise<void> {
  await using here = await imageSetup(t);
  if (!here) return;
  await using there = (await imageSetup(t))!;
  const base = tarOf({ base: 'base' });
  const changed = Buffer.from(large);
  for (let at = 0; at < 60; at++) randomBytes(1000).copy(changed, at * 130_000);
  const first = { layers: [base, tarOf({ 'srv/data': large, version: '1' })], tags: ['app:1'] };
  await load(here, first);
  await load(there, first);
  const second = {
    layers: [base, tarOf({ 'srv/data': Buffer.concat([randomBytes(100), changed]), version: '22' })],
    tags: ['app:2'],
  };
  await work(here, there, await load(here, second), here.folder);
}

test('a list from the other side, an archive of the differences, and the same image there', (t) =>
  withSides(t, async (here, there, id, folder) => {
    const [list, byList, byImage] = ['list', 'by-list.tar', 'by-image.tar'].map((name) => join(folder, name)) as [
      string,
      string,
      string,
    ];
    await writeFile(list, ok(there, ['image', 'digests']));
    assert.match(await readFile(list, 'utf8'), /^wherry-digests 1\n(sha256:[0-9a-f]{64} \d+\n){2}$/);
    ok(here, ['save', '--since', list, '-o', byList, 'app:2']);
    ok(here, ['save', '--since', 'app:1', '-o', byImage, 'app:2']);
    assert.ok((await sizeOf(byList)) < 150_000, `${await sizeOf(byList)} bytes`);
    assert.ok((await sizeOf(byImage)) < 150_000);
    const piped = spawnSync(
      'sh',
      ['-c', `"$0" -H "$1" save --since - app:2 <list >piped.tar`, program, here.daemon.host],
      { cwd: folder },
    );
    assert.equal(piped.status, 0, String(piped.stderr));
    assert.ok((await readFile(join(folder, 'piped.tar'))).equals(await readFile(byList)));
    assert.equal(await there.docker.ok('load', '-i', byList), 'Loaded image: app:2\n');
    assert.equal(await there.docker.ok('image', 'inspect', '-f', '{{.Id}}', 'app:2'), `${id}\n`);
    assert.equal(ok(there, ['load', '-i', byImage]), 'Loaded image: app:2\n');
    assert.equal(verify(there).status, 0, verify(there).output);
    const digest = ok(here, ['image', 'digests', 'app:2']);
    assert.equal(ok(there, ['image', 'digests', 'app:2']), digest);
  }));

test('what is missing or wrong is said, and leaves nothing', (t) =>
  withSides(t, async (here, there, _, folder) => {
    const archive = join(folder, 'delta.tar');
    ok(here, ['save', '--since', 'app:1', '-o', archive, 'app:2']);
    const images = await there.docker.ok('images', '-q');
    const cut = join(folder, 'cut.tar');
    await writeFile(cut, (await readFile(archive)).subarray(0, 40_000));
    assert.match(
      wherry(there, ['load', '-i', cut]).stderr,
      /load delta: the archive is cut: 0 of its 1 layers came whole\n/,
    );
    await there.docker.ok('rmi', 'app:1');
    // Undo would keep its layers, and they would count.
    ok(there, ['trash', 'empty']);
    const refused = await there.docker.run(['load', '-i', archive]);
    assert.match(
      refused.stderr,
      /load delta: it was saved since app:1; not here: layer sha256:[0-9a-f]{64} \(\d+ bytes\)/,
    );
    assert.notEqual(images, '');
    assert.equal(await there.docker.ok('images', '-q'), '');
    assert.equal(verify(there).status, 0, verify(there).output);
    for (const [args, message] of [
      [['save', '--since', 'nope:1', 'app:2'], /reference does not exist/],
      [['save', '--since', '-', 'app:2'], /its first line is not "wherry-digests 1"/],
      [['save', '--since', '-', '--since', '-', 'app:2'], /--since takes one list/],
      [['image', 'digests', 'nope:1'], /reference does not exist/],
    ] as const) {
      const ran = wherry(here, args, 'busybox\n');
      assert.match(ran.stderr, message);
      assert.equal(ran.status, 1);
    }
  }));

test('a daemon that is killed in the middle of a load goes on with the whole archive', (t) =>
  withSides(t, async (here, there, id, folder) => {
    const archive = join(folder, 'delta.tar');
    ok(here, ['save', '--since', 'app:1', '-o', archive, 'app:2']);
    const bytes = await readFile(archive);
    const client = spawn(program, ['-H', there.daemon.host, 'load'], { stdio: ['pipe', 'ignore', 'ignore'] });
    client.stdin.on('error', () => {});
    const ended = once(client, 'exit');
    client.stdin.write(bytes.subarray(0, bytes.length - 20_000));
    await wait(500);
    await there.daemon.kill();
    client.kill();
    await ended;
    await there.daemon.start();
    assert.equal(await there.docker.ok('load', '-qi', archive), 'Loaded image: app:2\n');
    assert.equal(await there.docker.ok('image', 'inspect', '-f', '{{.Id}}', 'app:2'), `${id}\n`);
    assert.equal(verify(there).status, 0, verify(there).output);
  }));
