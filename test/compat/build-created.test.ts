/** An image that was built here says when, as with dockerd, although its configuration holds the moment of its base. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Builds, withBuilds } from './build-fixture.ts';
import { lines } from './containers-fixture.ts';

const oldSec = 1_500_000_000;

async function buildOnOld({ build }: Builds): Promise<void> {
  const old = await build(
    { Dockerfile: 'FROM base\nLABEL old=1\n' },
    '-t',
    'old',
    '--build-arg',
    `SOURCE_DATE_EPOCH=${oldSec}`,
  );
  assert.equal(old.status, 0, old.stderr);
  const made = await build({ Dockerfile: 'FROM old\nRUN echo x > /x\nLABEL made=1\n' }, '-t', 'made');
  assert.equal(made.status, 0, made.stderr);
}

test('images, inspect, history and the filters of both tell when it was built', (t) =>
  withBuilds(t, async (builds) => {
    const { docker, build } = builds;
    const startedMs = Date.now();
    await buildOnOld(builds);
    const created = async (name: string) => Date.parse((await docker.ok('inspect', '-f', '{{.Created}}', name)).trim());
    assert.equal(await created('old'), oldSec * 1000);
    assert.ok((await created('made')) >= startedMs);
    assert.deepEqual(lines(await docker.ok('images', '--format', '{{.Repository}}')), ['made', 'base', 'old']);
    const dates = lines(await docker.ok('history', '--human=false', '--format', '{{.CreatedAt}}', 'made'));
    assert.equal(dates.length, 4);
    for (const date of dates.slice(0, 2)) assert.ok(Date.parse(date) >= Math.floor(startedMs / 1000) * 1000, date);
    assert.equal(Date.parse(dates[2]!), oldSec * 1000);
    assert.equal((await docker.ok('images', '-q', '--filter', 'since=old', 'made')).trim().length, 12);
    assert.equal((await docker.ok('images', '-q', '--filter', 'before=made', 'made')).trim(), '');
    await build({ Dockerfile: 'FROM old\nLABEL made=2\n' }, '-t', 'made');
    const dangling = () => docker.ok('images', '-q', '--filter', 'dangling=true');
    assert.notEqual(await dangling(), '');
    await docker.ok('image', 'prune', '-f', '--filter', 'until=10m');
    assert.notEqual(await dangling(), '', 'built less than ten minutes ago');
    await docker.ok('image', 'prune', '-f');
    assert.equal(await dangling(), '');
  }));

test('what is saved and loaded, or built at a moment that was given, shows what its configuration says', (t) =>
  withBuilds(t, async (builds) => {
    const { docker, folder } = builds;
    await buildOnOld(builds);
    const id = await docker.ok('inspect', '-f', '{{.Id}}', 'made');
    await docker.ok('save', '-o', join(folder, 'made.tar'), 'made');
    await docker.ok('rmi', 'made');
    await docker.ok('load', '-i', join(folder, 'made.tar'));
    assert.equal(await docker.ok('inspect', '-f', '{{.Id}}', 'made'), id);
    const created = await docker.ok('inspect', '-f', '{{.Created}}', 'made');
    assert.equal(Date.parse(created.trim()), oldSec * 1000);
  }));

/** Builds twice, checks that times are the clock's, answers the two images. */
async function builtByClock({ docker, build }: Builds, ...flags: string[]): Promise<string[]> {
  const startedSec = Math.floor(Date.now() / 1000);
  const files = { f: 'f', Dockerfile: 'FROM base\nRUN touch /made && echo "saw $SOURCE_DATE_EPOCH."\nCOPY f /f\n' };
  const ids: string[] = [];
  for (const name of ['one', 'two']) {
    const { stdout } = await build(files, '-t', name, '--no-cache', ...flags);
    assert.match(stdout, /\nsaw \.\n/);
    const times = lines(await docker.ok('run', '--rm', name, 'stat', '-c', '%Y', '/made', '/f')).map(Number);
    assert.ok(Math.min(...times) >= startedSec, times.join());
    ids.push(await docker.ok('inspect', '-f', '{{.Id}}', name));
  }
  return ids;
}

test('times as Docker leaves them: by an empty build argument', (t) =>
  withBuilds(t, async (builds) => {
    const [one, two] = await builtByClock(builds, '--build-arg', 'SOURCE_DATE_EPOCH=');
    assert.notEqual(one, two);
  }));

test('times as Docker leaves them: by the daemon', (t) =>
  withBuilds(
    t,
    async (builds) => {
      const [one, two] = await builtByClock(builds);
      assert.notEqual(one, two);
    },
    { flags: ['--reproducible-builds=false'] },
  ));
