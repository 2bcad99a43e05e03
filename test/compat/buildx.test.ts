/** Builds by the buildx plugin itself: with its own client, what a user types and what is printed. */
import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { after, type TestContext, test } from 'node:test';
import { baseImageTar } from '../../scripts/base-image.ts';
import { Buildx, findBuildx } from '../support/buildx.ts';
import { findDockerCli } from '../support/docker-cli.ts';
import { imageSetup, type Setup, tarOf } from './images-fixture.ts';

interface Parts extends Setup {
  readonly buildx: Buildx;
  /** A folder with these files. */
  context(files: Readonly<Record<string, string>>): Promise<string>;
}

let shared: Parts | undefined;

async function withBuildx(t: TestContext, work: (parts: Parts) => Promise<void>): Promise<void> {
  const found = findBuildx();
  if ('missing' in found) return t.skip(found.missing);
  shared ??= await start(t, found.path);
  if (shared) await work(shared);
}

async function start(t: TestContext, path: string): Promise<Parts | undefined> {
  const setup = await imageSetup(t);
  const cli = findDockerCli();
  if (!setup || 'missing' in cli) return undefined;
  const { folder } = setup;
  const parts = { docker: cli.path, buildx: path, host: setup.daemon.host, folder: join(folder, 'buildx') };
  const buildx = await Buildx.create(parts);
  await writeFile(join(folder, 'base.tar'), baseImageTar());
  await setup.docker.ok('import', join(folder, 'base.tar'), 'base');
  let folders = 0;
  const context: Parts['context'] = async (files) => {
    const root = join(folder, `context-${++folders}`);
    for (const [name, content] of Object.entries(files)) {
      await mkdir(dirname(join(root, name)), { recursive: true });
      await writeFile(join(root, name), content);
    }
    return root;
  };
  return { ...setup, buildx, context, [Symbol.asyncDispose]: () => setup[Symbol.asyncDispose]() };
}

after(() => shared?.[Symbol.asyncDispose]());

const build = ['buildx', 'build', '--network=none'];

test('docker build is a build with buildx: tags, identifiers, again from the cache', async (t) => {
  await withBuildx(t, async ({ buildx, docker, context }) => {
    const files = {
      Dockerfile: 'FROM base\nCOPY a /a\nRUN cat /a && ls /\n',
      a: 'hello from a\n',
      '.dockerignore': 'b',
      b: 'no',
    };
    const root = await context(files);
    const wanted = [
      'build',
      '--network=none',
      '-t',
      'one:1',
      '-t',
      'two',
      '--iidfile',
      'id',
      '--metadata-file',
      'meta',
    ];
    const made = await buildx.run(root, [...wanted, '.']);
    assert.equal(made.status, 0, made.stderr);
    assert.match(made.stderr, /#\d+ \[3\/3\] RUN cat \/a && ls \/\n#\d+ [\d.]+ hello from a/);
    const id = (await readFile(join(root, 'id'))).toString();
    const meta = JSON.parse((await readFile(join(root, 'meta'))).toString()) as Record<string, string>;
    assert.equal((await docker.ok('image', 'inspect', '-f', '{{.Id}}', 'two')).trim(), id);
    assert.deepEqual([meta['containerimage.digest'], meta['containerimage.config.digest']], [id, id]);
    assert.equal(meta['image.name'], 'docker.io/library/one:1,docker.io/library/two');
    const again = await buildx.run(root, [...build, '.']);
    assert.match(again.stderr, /RUN cat \/a && ls \/\n#\d+ CACHED/);
    assert.doesNotMatch(again.stderr, /hello from a\n/);
    assert.equal((await buildx.run(root, [...build, '-q', '--progress=auto', '.'])).stdout.trim(), id);
  });
});

test('secrets, further contexts, a Dockerfile and a context from standard input', async (t) => {
  await withBuildx(t, async ({ buildx, context }) => {
    const root = await context({ 'lib/x': 'of lib', token: 'hush hush' });
    const lines = ['FROM base', 'COPY --from=lib x /x', 'RUN --mount=type=secret,id=t wc -c < /run/secrets/t; cat /x'];
    const flags = ['--build-context', 'lib=lib', '--secret', 'id=t,src=token', '-'];
    const made = await buildx.run(root, [...build, ...flags], lines.join('\n'));
    assert.equal(made.status, 0, made.stderr);
    assert.match(made.stderr, / 9\n#\d+ [\d.]+ of lib/);
    assert.doesNotMatch(made.stderr, /hush/);
    const tar = tarOf({ Dockerfile: 'FROM base\nCOPY y /y\nRUN cat /y\n', y: 'from a tar\n' });
    assert.match((await buildx.run(root, [...build, '-'], tar)).stderr, /from a tar/);
  });
});

test('errors show the lines they are about, and the status is 1', async (t) => {
  await withBuildx(t, async ({ buildx, context }) => {
    const root = await context({ Dockerfile: 'FROM base\n\nRUN exit 7\n', Bad: 'FROM base\nFOO\n' });
    const failed = await buildx.run(root, [...build, '.']);
    assert.equal(failed.status, 1);
    assert.match(failed.stderr, /Dockerfile:3\n-+\n.*\n.*\n {3}3 \| >>> RUN exit 7\n/);
    const words = 'process "/bin/sh -c exit 7" did not complete successfully: exit code: 7';
    assert.ok(failed.stderr.includes(`failed to solve: ${words}`), failed.stderr);
    const bad = await buildx.run(root, [...build, '-f', 'Bad', '.']);
    assert.match(bad.stderr, /Bad:2\n-+\n {3}1 \| {5}FROM base\n {3}2 \| >>> FOO\n/);
    const none = await buildx.run(root, [...build, '-f', 'None', '.']);
    assert.match(none.stderr, /failed to read dockerfile: open None: no such file or directory/);
  });
});

test('checks, targets and outlines are printed', async (t) => {
  await withBuildx(t, async ({ buildx, context }) => {
    const root = await context({ Dockerfile: '# A is for you\nARG A=1\nFROM base as first\nARG A\n' });
    const checked = await buildx.run(root, ['buildx', 'build', '--check', '.']);
    assert.equal(checked.status, 1);
    assert.match(checked.stdout, /WARNING: FromAsCasing.*\n.*\nDockerfile:3\n/);
    const outline = await buildx.run(root, ['buildx', 'build', '--call=outline', '.']);
    assert.match(outline.stdout, /^TARGET: +first\n\nBUILD ARG +VALUE +DESCRIPTION\nA +1 +is for you/);
    assert.match((await buildx.run(root, ['buildx', 'build', '--call=targets', '.'])).stdout, /^first \(default\)/m);
  });
});

test('targets of bake stand on each other', async (t) => {
  await withBuildx(t, async ({ buildx, docker, context }) => {
    const bake = {
      group: { default: { targets: ['app', 'copy'] } },
      target: {
        base: { 'dockerfile-inline': 'FROM base\nRUN --network=none echo below > /below\nENV Q=quiet\n' },
        app: {
          contexts: { it: 'target:base' },
          'dockerfile-inline': 'FROM it\nRUN --network=none cat /below && echo $Q > /app\n',
          tags: ['bake-app'],
        },
        copy: {
          contexts: { it: 'target:base' },
          'dockerfile-inline': 'FROM scratch\nCOPY --from=it /below /\n',
          tags: ['bake-copy'],
        },
      },
    };
    const root = await context({ 'docker-bake.json': JSON.stringify(bake) });
    const made = await buildx.run(root, ['buildx', 'bake']);
    assert.equal(made.status, 0, made.stderr);
    assert.match(await docker.ok('image', 'inspect', '-f', '{{.Config.Env}}', 'bake-app'), /Q=quiet/);
    assert.equal((await docker.ok('image', 'inspect', '-f', '{{len .RootFS.Layers}}', 'bake-copy')).trim(), '1');
  });
});
