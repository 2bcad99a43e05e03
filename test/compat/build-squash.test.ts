/** `docker build --squash`, on a daemon that lets the docker CLI send it; what it leaves was taken from dockerd 28.5.2. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { withBuilds } from './build-fixture.ts';
import { lines } from './containers-fixture.ts';

const files = {
  f: 'f',
  Dockerfile: 'FROM base\nRUN mkdir /d && echo x > /d/gone\nRUN rm /d/gone\nCOPY f /d/f\nENV A=1\n',
};

test('one layer more than the base, a history of every step, and files as they were', (t) =>
  withBuilds(
    t,
    async ({ docker, build }) => {
      assert.equal((await docker.ok('info', '-f', '{{.ExperimentalBuild}}')).trim(), 'true');
      const built = await build(files, '--squash', '-t', 'squashed');
      assert.equal(built.status, 0, built.stderr);
      const layers = async (name: string) =>
        JSON.parse(await docker.ok('inspect', '-f', '{{json .RootFS.Layers}}', name)) as string[];
      assert.deepEqual((await layers('squashed')).slice(0, -1), await layers('base'));
      assert.equal((await docker.ok('inspect', '-f', '{{.Parent}}', 'squashed')).trim(), '');
      const history = lines(
        await docker.ok('history', '--no-trunc', '--format', '{{.CreatedBy}}|{{.Comment}}|{{.Size}}', 'squashed'),
      );
      const from = (await docker.ok('inspect', '-f', '{{.Id}}', 'base')).trim();
      assert.match(history[0]!, new RegExp(`^\\|merge sha256:[0-9a-f]{64} to ${from}\\|`));
      assert.equal(history[1], '/bin/sh -c #(nop)  ENV A=1||0B');
      assert.ok(
        history.slice(1, 5).every((line) => line.endsWith('|0B')),
        history.join('\n'),
      );
      assert.equal(await docker.ok('run', '--rm', 'squashed', 'ls', '/d'), 'f\n');
    },
    { flags: ['--experimental'] },
  ));

test('wherry squashes on any daemon; the docker CLI holds the flag back from one that is not experimental', (t) =>
  withBuilds(t, async ({ docker, build, daemon, folder }) => {
    const refused = await build(files, '--squash');
    assert.match(refused.stderr, /"--squash" is only supported on a Docker daemon with experimental features enabled/);
    const wherry = join(import.meta.dirname, '../../bin/wherry');
    const ran = spawnSync(wherry, [
      '-H',
      daemon.host,
      'build',
      '--squash',
      '-t',
      'squashed',
      join(folder, 'context-1'),
    ]);
    assert.equal(ran.status, 0, String(ran.stderr));
    const layers = await docker.ok('inspect', '-f', '{{len .RootFS.Layers}}', 'squashed', 'base');
    assert.deepEqual(lines(layers).map(Number), [2, 1]);
  }));
