/** Entering the step of a build that failed: `wherry build debug`, `wherry build --shell-on-fail`. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { connect } from '#client';
import { openTerminal } from '../support/terminal.ts';
import { type Builds, program, wherry, withBuilds } from './build-fixture.ts';
import { lines, until } from './containers-fixture.ts';
import { tarOf } from './images-fixture.ts';

const mounts = [
  '--mount=type=bind,source=folder,target=/folder',
  '--mount=type=bind,source=file,target=/file,rw',
  '--mount=type=bind,from=other,source=/made,target=/made',
  '--mount=type=cache,target=/cache,mode=777',
  '--mount=type=tmpfs,target=/scratch,size=1m',
];

const context = {
  Dockerfile: [
    'FROM base AS other',
    'RUN echo other > /made',
    'FROM base',
    'RUN mkdir /w && chmod 777 /w',
    'ENV E=env',
    'ARG A=arg',
    'USER 0:8',
    'WORKDIR /w',
    `RUN ${mounts.join(' ')} --network=none echo cached > /cache/c; echo left > left; exit 7`,
  ].join('\n'),
  'folder/f': 'in the folder\n',
  file: 'as it was\n',
};

/** The container that a build of it leaves. */
async function failedStep(builds: Builds, files: Readonly<Record<string, string>> = context): Promise<string> {
  const failed = await wherry(builds, ['build', '--keep-failed', '-'], tarOf(files));
  const id = /wherry build debug ([0-9a-f]{12})\n$/.exec(failed.stderr)?.[1];
  return id ?? assert.fail(failed.stderr);
}

async function faults({ daemon }: Builds): Promise<readonly string[]> {
  await using engine = connect(daemon.host);
  return await Array.fromAsync(engine.system.verify());
}

function mountsOf({ daemon }: Builds): string[] {
  return readFileSync('/proc/self/mountinfo')
    .toString()
    .split('\n')
    .filter((line) => line.includes(`${daemon.folder}/`) && !line.includes('.erofs'));
}

test('a shell where the step failed: its files, mounts, environment, user, folder, network', (t) =>
  withBuilds(t, async (builds) => {
    const { docker } = builds;
    const id = await failedStep(builds);
    const script = [
      'id -u; id -g; pwd; echo $E $A; cat left /folder/f /file /made /cache/c',
      'echo again > /file && cat /file; touch /folder/x 2>/dev/null || echo read-only',
      'grep -c " /scratch tmpfs " /proc/mounts; ls /sys/class/net; echo more > more; exit 5',
    ].join('\n');
    const shell = await wherry(builds, ['build', 'debug', id], script);
    assert.equal(shell.stderr, '');
    assert.deepEqual(lines(shell.stdout), [
      ...['0', '8', '/w', 'env arg', 'left', 'in the folder', 'as it was', 'other', 'cached'],
      ...['again', 'read-only', '1', 'lo'],
    ]);
    assert.equal(shell.status, 5);
    const command = await wherry(builds, ['build', 'debug', id, 'cat', 'more', '/file', '/cache/c']);
    assert.equal(
      command.stdout,
      'more\nas it was\ncached\n',
      'its own files keep what was written, those it was shown do not',
    );
    const again = await docker.run(['start', '-a', id]);
    assert.equal(again.status, 7, 'the container is the failed step as before');
    assert.equal(
      await docker.ok('inspect', '--format', '{{index .Config.Cmd 0}} {{.Config.Tty}}', id),
      '/bin/sh false\n',
    );
    await docker.ok('rm', id);
    assert.deepEqual(
      mountsOf(builds).filter((line) => line.includes(id)),
      [],
    );
    assert.deepEqual(await faults(builds), []);
  }));

test('on a terminal the shell has one; --shell-on-fail leaves nothing behind it and answers the status of the step', (t) =>
  withBuilds(t, async (builds) => {
    const { daemon, docker, folder } = builds;
    const root = join(folder, 'context');
    await mkdir(join(root, 'folder'), { recursive: true });
    for (const [name, content] of Object.entries(context)) await writeFile(join(root, name), content);
    await using terminal = openTerminal([program, '-H', daemon.host, 'build', '--shell-on-fail', root], {});
    await terminal.shows('returned a non-zero code: 7');
    await terminal.shows('Dockerfile:9');
    await terminal.shows('A shell where it failed');
    terminal.type('test -t 0 && echo is a "ter"minal; cat /folder/f left\n');
    await terminal.shows('is a terminal');
    await terminal.shows('in the folder');
    await terminal.shows('left');
    terminal.type('exit 3\n');
    assert.equal(await terminal.ends(), 7);
    assert.equal(await docker.ok('ps', '-aq'), '');
    assert.deepEqual(
      readdirSync(join(daemon.dataRoot, 'snapshots')).filter((name) => name.length >= 64),
      [],
    );
    assert.deepEqual(await faults(builds), []);
    const piped = await wherry(builds, ['build', '--shell-on-fail', root], 'cat left\n');
    assert.deepEqual([piped.status, lines(piped.stdout).at(-1)], [7, 'left']);
    assert.equal(await docker.ok('ps', '-aq'), '');
    const parse = await wherry(builds, ['build', '--shell-on-fail', '-f', '/dev/null', root]);
    assert.equal(parse.status, 1);
    const stdin = await wherry(builds, ['build', '--shell-on-fail', '-'], tarOf(context));
    assert.match(stdin.stderr, /^--shell-on-fail needs standard input for the shell\n/);
    const fine = await wherry(builds, ['build', '-q', '--shell-on-fail', '--target', 'other', root]);
    assert.match(fine.stdout, /^sha256:/);
  }));

test('a daemon that is killed meanwhile: the next one has the shell, and afterwards the step', (t) =>
  withBuilds(t, async (builds) => {
    const { daemon, docker } = builds;
    const id = await failedStep(builds);
    const shell = wherry(builds, [
      'build',
      'debug',
      id,
      'sh',
      '-c',
      'until test -e /w/go; do sleep 0.1; done; cat /folder/f > seen',
    ]);
    const isRunning = async () => (await docker.ok('ps', '-q')).trim();
    await until(isRunning, (running) => running === id);
    await daemon.kill();
    await shell;
    await daemon.start();
    assert.equal(await isRunning(), id);
    await docker.ok('exec', id, 'touch', '/w/go');
    await until(isRunning, (running) => running === '');
    assert.deepEqual((await wherry(builds, ['build', 'debug', id, 'cat', 'seen'])).stdout, 'in the folder\n');
    assert.equal((await docker.run(['start', '-a', id])).status, 7);
    await docker.ok('rm', id);
    assert.deepEqual(await faults(builds), []);
    assert.deepEqual(readdirSync(join(daemon.folder, 'run/binds')), []);
  }));

test('caches are held while the shell runs, made again when they were pruned, and not taken from a build', (t) =>
  withBuilds(t, async (builds) => {
    const { docker } = builds;
    const id = await failedStep(builds);
    await docker.ok('builder', 'prune', '-af');
    const lost = await wherry(builds, [
      'build',
      'debug',
      id,
      'sh',
      '-c',
      'ls /cache; echo new > /cache/new; cat /folder/f',
    ]);
    assert.equal(lost.stdout, 'in the folder\n', lost.stderr);
    const held = wherry(builds, [
      'build',
      'debug',
      id,
      'sh',
      '-c',
      'until test -e /cache/go; do sleep 0.1; done; ls /cache',
    ]);
    await until(
      async () => (await docker.ok('ps', '-q')).trim(),
      (running) => running === id,
    );
    await docker.ok('builder', 'prune', '-af');
    await docker.ok('exec', id, 'touch', '/cache/go');
    assert.equal((await held).stdout, 'go\nnew\n');
    const lock = 'RUN --mount=type=cache,target=/l,sharing=locked,id=l';
    const locked = await failedStep(builds, { Dockerfile: `FROM base\n${lock} exit 1\n` });
    const taken = `FROM base\n${lock} touch /l/taken; while ! test -e /l/go; do sleep 0.1; done\n`;
    const building = wherry(builds, ['build', '-'], tarOf({ Dockerfile: taken }));
    const cache = () =>
      readdirSync(join(builds.daemon.dataRoot, 'cache-mounts')).map((name) =>
        join(builds.daemon.dataRoot, 'cache-mounts', name, '_data'),
      );
    const [place] = await until(
      async () => cache().filter((path) => existsSync(join(path, 'taken'))),
      (found) => found.length > 0,
    );
    const refused = await wherry(builds, ['build', 'debug', locked]);
    assert.deepEqual(
      [refused.status, refused.stderr],
      [1, 'Error response from daemon: cache mount l is in use by a build\n'],
    );
    await writeFile(join(place!, 'go'), '');
    assert.equal((await building).status, 0);
    assert.equal((await wherry(builds, ['build', 'debug', locked, 'ls', '/l'])).stdout, 'go\ntaken\n');
  }));

test('what cannot be entered is refused', (t) =>
  withBuilds(t, async (builds) => {
    await builds.docker.ok('create', '--name', 'other', 'base', 'true');
    const refusals: readonly (readonly [string, string])[] = [
      ['nosuch', 'No such container: nosuch'],
      ['other', 'container other was not left by a step of a build'],
    ];
    for (const [name, message] of refusals) {
      const refused = await wherry(builds, ['build', 'debug', name]);
      assert.deepEqual([refused.status, refused.stderr], [1, `Error response from daemon: ${message}\n`]);
    }
    const id = await failedStep(builds);
    const missing = await wherry(builds, ['build', 'debug', id, 'nosuch']);
    assert.match(missing.stderr, /exec: "nosuch": executable file not found in \$PATH/);
    assert.equal((await builds.docker.run(['start', '-a', id])).status, 7, 'it is the step as before');
  }));
