/** `wherry image verify --rebuild`: what brings differences in is found and named, and the rebuild leaves nothing. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import type { RebuildReport } from '#api-types';
import { type Builds, withBuilds } from './build-fixture.ts';

const wherryPath = join(import.meta.dirname, '../../bin/wherry');

async function contextOf({ folder }: Builds, Dockerfile: string): Promise<string> {
  const context = join(folder, 'verified');
  await mkdir(context, { recursive: true });
  await writeFile(join(context, 'f'), 'f');
  await writeFile(join(context, 'Dockerfile'), Dockerfile);
  return context;
}

function wherry({ daemon }: Builds, ...args: string[]) {
  const { status, stdout, stderr } = spawnSync(wherryPath, ['-H', daemon.host, ...args], { encoding: 'utf8' });
  return { status, stdout, stderr };
}

/** Everything that a build may leave. */
async function traces({ docker, daemon }: Builds): Promise<string[]> {
  const blobs = await readdir(join(daemon.dataRoot, 'content'), { recursive: true });
  const scratch = await readdir(join(daemon.dataRoot, 'tmp'));
  const known = await docker.ok('system', 'df', '--format', '{{.Type}} {{.TotalCount}}');
  return [known, await docker.ok('images', '-aq'), await docker.ok('ps', '-aq'), ...blobs.sort(), ...scratch];
}

test('identical, and nothing is left behind', (t) =>
  withBuilds(t, async (builds) => {
    const context = await contextOf(builds, 'FROM base\nCOPY f /f\nRUN echo x > /x && mkdir /d\nENV A=1\n');
    assert.equal(wherry(builds, 'build', '-t', 'made', context).status, 0);
    await wait(1100);
    const before = await traces(builds);
    const verified = wherry(builds, 'image', 'verify', '--rebuild', 'made', context);
    assert.deepEqual([verified.status, verified.stdout], [0, 'identical\n'], verified.stderr);
    assert.match(verified.stderr, /Step 3\/4 : RUN echo x/);
    assert.deepEqual(await traces(builds), before);
  }));

test('stages and one layer of several: verified as they were built, named by the line that made them', (t) =>
  withBuilds(t, async (builds) => {
    const Dockerfile = 'FROM base AS a\nRUN echo x > /x\nFROM a\nRUN date +%s > /when\nCOPY f /f\n';
    const context = await contextOf(builds, Dockerfile);
    assert.equal(wherry(builds, 'build', '-t', 'made', context).status, 0);
    await wait(1100);
    const told = wherry(builds, 'image', 'verify', '--rebuild', '-q', 'made', context);
    assert.match(
      told.stdout,
      /\nlayer 3 \(line 4: RUN date \+%s > \/when\)\n {2}\/when: differs from byte \d+ on\n {4}clock: /,
    );
    assert.doesNotMatch(told.stdout, /layer [124]/);
    await contextOf(builds, 'FROM base\nRUN echo x > /x\nCOPY f /f\n');
    assert.equal(wherry(builds, 'build', '--squash', '-t', 'squashed', context).status, 0);
    const same = wherry(builds, 'image', 'verify', '--rebuild', '--squash', '-q', 'squashed', context);
    assert.deepEqual([same.status, same.stdout], [0, 'identical\n'], same.stderr);
    const apart = wherry(builds, 'image', 'verify', '--rebuild', '-q', 'squashed', context);
    assert.match(apart.stdout, /\nlayer 3 \(line 3: COPY f \/f\): the build makes more layers/);
  }));

const culprits = [
  ['RUN date > /date', '/date', 'content', 'clock'],
  ['RUN head -c 8 /dev/urandom > /random', '/random', 'content', 'random'],
  // As gzip begins a file: its sign, the method, and the time.
  [
    String.raw`RUN { printf '\037\213\010\000'; date +%s | tail -c 5 | head -c 4; printf rest; } > /z.gz`,
    '/z.gz',
    'content',
    'clock',
  ],
  ['RUN mkdir /t && tar cf /t.tar /t', '/t.tar', 'content', 'clock'],
  ['RUN mkdir -p /var/log && date > /var/log/x.log', '/var/log/x.log', 'content', 'leftover'],
  ['RUN touch -d @$(($(date +%s) - 1000000000)) /old', '/old', 'attribute', 'clock'],
] as const;

test('what differs is named: layer, line, file, byte and cause', (t) =>
  withBuilds(t, async (builds) => {
    const Dockerfile = ['FROM base', ...culprits.map(([line]) => line), ''].join('\n');
    const context = await contextOf(builds, Dockerfile);
    const built = wherry(builds, 'build', '-t', 'made', context);
    assert.equal(built.status, 0, built.stderr + built.stdout);
    await wait(1100);
    const before = await traces(builds);
    const told = wherry(builds, 'image', 'verify', '--rebuild', '-q', '--json', 'made', context);
    assert.equal(told.status, 1, told.stderr);
    assert.deepEqual(await traces(builds), before);
    const report = JSON.parse(told.stdout) as RebuildReport;
    assert.equal(report.identical, false);
    const found = report.layers.map(({ text, line, index, files }) => {
      const [file] = files;
      assert.equal(line, index + 1, 'one layer per line, one line per layer');
      return [text, file!.path, file!.kind, file!.cause];
    });
    assert.deepEqual(found, culprits);
    const { offset } = report.layers[2]!.files[0]!;
    assert.ok(offset! >= 4 && offset! < 8, 'the header of gzip');
    const text = wherry(builds, 'image', 'verify', '--rebuild', '-q', 'made', context).stdout;
    assert.match(
      text,
      /\nlayer 4 \(line 4: RUN .* > \/z\.gz\)\n {2}\/z\.gz: differs from byte [4-7] on\n {4}clock: .*gzip -n\n/,
    );
  }));

test('another Dockerfile, another argument, another base, no such image, no such way', (t) =>
  withBuilds(t, async (builds) => {
    const { docker } = builds;
    const context = await contextOf(builds, 'FROM base\nARG A=1\nLABEL a=$A\n');
    assert.equal(wherry(builds, 'build', '-t', 'made', context).status, 0);
    const verify = (...more: string[]) => wherry(builds, 'image', 'verify', '--rebuild', '-q', ...more);
    assert.equal(verify('--build-arg', 'A=1', 'made', context).status, 0);
    const argued = verify('--build-arg', 'A=2', 'made', context);
    assert.equal(argued.status, 1);
    assert.match(argued.stdout, /\nconfig\.Labels: {"a":"1"} in the image, {"a":"2"} in the build\n/);
    const dated = verify('--build-arg', 'SOURCE_DATE_EPOCH=5', 'made', context);
    assert.match(dated.stdout, /\ncreated: .*\n {2}built at another moment.*--build-arg SOURCE_DATE_EPOCH=\d+\n/);
    const missing = verify('nosuch', context);
    assert.deepEqual([missing.status, missing.stdout], [1, '']);
    assert.match(missing.stderr, /No such image: nosuch/);
    assert.notEqual(wherry(builds, 'image', 'verify', 'made', context).status, 0);
    const other = await builds.build({ Dockerfile: 'FROM base\nRUN touch /other\n' }, '-t', 'base');
    assert.equal(other.status, 0, other.stderr);
    assert.match(verify('made', context).stdout, /\nlayer 2: the base image is another one than it was built on\n/);
    await writeFile(join(context, 'Dockerfile'), 'FROM base\nRUN exit 3\n');
    const failed = wherry(builds, 'image', 'verify', '--rebuild', 'made', context);
    assert.notEqual(failed.status, 0);
    assert.match(failed.stderr, /returned a non-zero code: 3/);
    assert.equal(await docker.ok('ps', '-aq'), '');
  }));
