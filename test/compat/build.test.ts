/** `docker build` with the classic builder, as a user of the docker CLI sees it. Where an answer is dockerd's, it was taken from dockerd 28.5.2. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { endOfArchive, packHeader } from '#archive';
import { connect } from '#client';
import { withBuilds } from './build-fixture.ts';
import { lines, until } from './containers-fixture.ts';

test('with --rm=false the container of a step that failed stays, can be looked at, committed, started and removed', (t) =>
  withBuilds(t, async ({ build, docker, daemon }) => {
    const files = { Dockerfile: 'FROM base\nENV A=1\nRUN echo out; touch /made; exit 3\n' };
    assert.equal((await build(files)).status, 3);
    assert.equal(await docker.ok('ps', '-aq'), '', 'none stays by itself');
    const failed = await build(files, '--rm=false', '--no-cache');
    assert.equal(failed.status, 3);
    const shown = /Step 3\/3.*\n ---> Running in ([0-9a-f]{12})\nout\n\nDockerfile:3\n/.exec(failed.stdout)?.[1];
    assert.ok(shown, failed.stdout);
    const format = '{{.ID}} {{.Command}} {{.Status}}';
    const listed = lines(await docker.ok('ps', '-a', '--no-trunc', '--format', format));
    assert.equal(listed.length, 1);
    assert.match(listed[0]!, new RegExp(`^${shown}[0-9a-f]{52} "/bin/sh -c 'echo out; .*'" Exited \\(3\\)`));
    assert.equal(await docker.ok('diff', shown), 'A /made\n');
    const logs = await docker.run(['logs', shown]);
    assert.equal(logs.stderr, 'Error response from daemon: configured logging driver does not support reading\n');
    await docker.ok('commit', shown, 'rescued');
    assert.equal(await docker.ok('run', '--rm', 'rescued', 'ls', '/made'), '/made\n');
    assert.deepEqual(await docker.run(['start', '-a', shown]).then(({ status, stdout }) => [status, stdout]), [
      3,
      'out\n',
    ]);
    await daemon.kill();
    await daemon.start();
    assert.match(await docker.ok('ps', '-a', '--format', format), /Exited \(3\)/);
    await docker.ok('rm', shown);
    await docker.ok('container', 'prune', '-f');
    await build(files, '--force-rm', '--rm=false');
    assert.equal(await docker.ok('ps', '-aq'), '', '--force-rm leaves none');
  }));

test('--rm=false keeps the containers of steps that succeed; by default none stays', (t) =>
  withBuilds(t, async ({ build, docker }) => {
    const files = { Dockerfile: 'FROM base\nRUN echo one\nLABEL a=b\n' };
    const kept = await build(files, '--rm=false');
    assert.equal(kept.status, 0, kept.stderr);
    assert.doesNotMatch(kept.stdout, /Removed intermediate container/);
    const running = [...kept.stdout.matchAll(/Running in ([0-9a-f]{12})/g)].map((match) => match[1]);
    assert.deepEqual(lines(await docker.ok('ps', '-aq')), running);
    await docker.ok('rm', ...lines(await docker.ok('ps', '-aq')));
    const removed = await build(files, '--no-cache');
    assert.match(removed.stdout, /Running in ([0-9a-f]{12})\none\n ---> Removed intermediate container \1\n/);
    assert.equal(await docker.ok('ps', '-aq'), '');
  }));

test('a build that is interrupted leaves no container', (t) =>
  withBuilds(t, async ({ docker, folder }) => {
    await mkdir(join(folder, 'slow'));
    await writeFile(join(folder, 'slow/Dockerfile'), 'FROM base\nRUN sleep 1000\n');
    const child = docker.spawn(['build', join(folder, 'slow')]);
    for await (const chunk of child.stdout) if (String(chunk).includes('Running in')) break;
    child.kill('SIGINT');
    const held = () => docker.ok('system', 'info', '--format', '{{.Containers}}');
    assert.equal((await held()).trim(), '0');
    // What the step held is free again once the base can be removed.
    await until(
      () => docker.run(['rmi', 'base']),
      ({ status }) => status === 0,
    );
    assert.equal(await docker.ok('ps', '-aq'), '');
  }));

test('a step sees what Docker puts into every container, and its layer does not have it', (t) =>
  withBuilds(t, async ({ build }) => {
    const Dockerfile = 'FROM base\nRUN ls -d /.dockerenv /dev/shm && readlink /etc/mtab && touch /etc/own\n';
    const built = await build({ Dockerfile }, '-t', 'seen');
    assert.match(built.stdout, /\/\.dockerenv\n\/dev\/shm\n\/proc\/mounts\n/, built.stderr);
    const bare = await build({ Dockerfile: 'FROM scratch\nCOPY --from=seen / /x/\n' }, '-t', 'bare');
    assert.equal(bare.status, 0, bare.stderr);
    const copied = await build({ Dockerfile: 'FROM base\nCOPY --from=bare /x /x\nRUN ls -A /x /x/etc\n' });
    assert.match(copied.stdout, /\nown\n/);
    assert.doesNotMatch(copied.stdout, /dockerenv|mtab|resolv\.conf|hostname/);
  }));

test('faults: the step is shown, nothing is built', (t) =>
  withBuilds(t, async ({ build, docker }) => {
    const value = await build({ Dockerfile: 'FROM base\nENV A=1\nEXPOSE abc\nRUN true\n' });
    assert.deepEqual([value.status, value.stderr.trim().split('\n').at(-1)], [1, 'Invalid containerPort: abc']);
    assert.match(value.stdout, /Step 3\/4 : EXPOSE abc\n\nDockerfile:3\n/);
    const platform = await build({ Dockerfile: 'FROM --platform=foo base\n' });
    assert.equal(platform.status, 1);
    assert.match(platform.stderr, /failed to parse platform foo: "foo": unknown operating system or architecture/);
    const digest = await build({ Dockerfile: 'FROM base\n' }, '-t', `a@sha256:${'0'.repeat(64)}`);
    assert.equal(digest.status, 1);
    assert.match(digest.stderr, /Error response from daemon: build tag cannot contain a digest\n$/);
    assert.equal(await docker.ok('images', '-q', 'a'), '');
  }));

test('symlinks of an archive have the one mode that Linux knows', (t) =>
  withBuilds(t, async ({ build }) => {
    const link = packHeader({ type: 'symlink', path: 'l', linkPath: 'x', mode: 0o644 });
    const files = {
      Dockerfile: 'FROM base\nADD a.tar /d/\nRUN stat -c %a /d/l\n',
      'a.tar': Buffer.concat([link, endOfArchive]),
    };
    assert.match((await build(files)).stdout, /\n777\n/);
  }));

test('a daemon killed in the middle of a build: the next one takes every step that had finished from the cache', (t) =>
  withBuilds(t, async ({ build, docker, daemon, folder }) => {
    const steps = (last: string) => `FROM base\nRUN echo 1 > /1\nCOPY f /f\nENV A=1\nRUN ${last}\n`;
    await mkdir(join(folder, 'killed'));
    await writeFile(join(folder, 'killed/f'), 'f');
    await writeFile(join(folder, 'killed/Dockerfile'), steps('sleep 1000'));
    const child = docker.spawn(['build', join(folder, 'killed')]);
    const ended = new Promise((resolve) => child.once('close', resolve));
    await until(
      async () => lines(await docker.ok('images', '-aq')).length,
      (count) => count === 4,
    );
    await daemon.kill();
    await ended;
    await daemon.start();
    const built = await build({ Dockerfile: steps('cat /1 /f'), f: 'f' });
    assert.equal(built.status, 0, built.stderr);
    assert.equal(built.stdout.match(/---> Using cache/g)?.length, 3, built.stdout);
    assert.equal(await docker.ok('ps', '-aq'), '');
    await using engine = connect(daemon.host);
    assert.deepEqual(await Array.fromAsync(engine.system.verify()), []);
    const mounted = readFileSync('/proc/self/mountinfo').toString().split('\n');
    assert.deepEqual(
      mounted
        .filter((line) => line.includes(`${daemon.folder}/run/steps`) || line.includes('/merged '))
        .filter((line) => line.includes(daemon.folder)),
      [],
    );
  }));
