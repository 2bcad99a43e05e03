import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { baseImageTar } from '../../scripts/base-image.ts';
import { notFoundWords } from './containers-fixture.ts';
import { curl, imageSetup, load, saveArchive, tarOf, verify } from './images-fixture.ts';

const lower = tarOf({ a: 'one', 'd/f': 'x'.repeat(5000) });
const upper = tarOf({ b: 'two' });
const lines = (text: string) => text.split('\n').filter((line) => line !== '');

test('load takes every form of an archive, save gives one that comes back as the same image', async (t) => {
  await using setup = await imageSetup(t);
  if (!setup) return;
  const { docker, folder } = setup;
  const { id, archive } = saveArchive({ layers: [lower, upper], tags: ['app:1', 'other/app:2'] });
  for (const bytes of [archive, gzipSync(archive), zstdCompressSync(archive)]) {
    const loaded = await docker.run(['load'], { input: bytes });
    assert.equal(loaded.status, 0, loaded.stderr);
    assert.match(loaded.stdout, /Loaded image: app:1\nLoaded image: other\/app:2\n$/);
    assert.equal((await docker.ok('images', '-q', '--no-trunc', 'app')).trim(), id);
    await docker.ok('rmi', 'app:1', 'other/app:2');
  }
  await load(setup, { layers: [lower, upper], tags: ['app:1'] });
  const saved = join(folder, 'saved.tar');
  await docker.ok('save', '-o', saved, 'app:1');
  const members = spawnSync('tar', ['-tf', saved], { encoding: 'utf8' }).stdout;
  for (const name of ['manifest.json', 'index.json', 'oci-layout', 'repositories'])
    assert.ok(members.includes(name), name);
  const size = Number(await docker.ok('image', 'inspect', '-f', '{{.Size}}', 'app:1'));
  assert.equal(size, lower.length + upper.length);
  await docker.ok('rmi', 'app:1');
  await docker.ok('load', '-qi', saved);
  assert.equal((await docker.ok('images', '-q', '--no-trunc', 'app:1')).trim(), id);
  if (spawnSync('skopeo', ['--version']).error) t.diagnostic('skopeo is not installed: not asked to read the archive');
  else {
    for (const source of [`docker-archive:${saved}:app:1`, `oci-archive:${saved}`]) {
      const read = spawnSync('skopeo', ['inspect', '--config', source], { encoding: 'utf8' });
      assert.equal(read.status, 0, read.stderr);
      assert.match(read.stdout, /"layer 1"/);
    }
  }
  const missing = await docker.run(['save', 'nope']);
  assert.deepEqual([missing.status, missing.stderr], [1, 'Error response from daemon: No such image: nope\n']);
  assert.deepEqual(verify(setup).status, 0);
});

test('images: columns, options and every filter', async (t) => {
  await using setup = await imageSetup(t);
  if (!setup) return;
  const { docker } = setup;
  const old = await load(setup, {
    layers: [lower],
    tags: ['old:1', 'team/old:x'],
    created: '2023-01-01T00:00:00Z',
    labels: { k: 'v' },
  });
  await load(setup, { layers: [lower, upper], tags: ['mid:1'], created: '2023-06-01T00:00:00Z', labels: { k: 'w' } });
  const bare = await load(setup, { layers: [upper], tags: [], created: '2024-01-01T00:00:00Z' });
  const names = async (...args: string[]) =>
    lines(await docker.ok('images', '--format', '{{.Repository}}:{{.Tag}}', ...args)).sort();
  const all = ['<none>:<none>', 'mid:1', 'old:1', 'team/old:x'];
  assert.match(await docker.ok('images'), /^REPOSITORY +TAG +IMAGE ID +CREATED +SIZE\n<none> +<none> +[0-9a-f]{12} /);
  assert.deepEqual(await names(), all);
  assert.deepEqual(await names('-a'), all);
  assert.deepEqual(lines(await docker.ok('images', '-q', '--no-trunc', 'old:1')), [old]);
  assert.match(await docker.ok('images', '--digests', 'old:1'), /DIGEST[^\n]*\nold +1 +<none> /);
  const cases: Record<string, string[]> = {
    'label=k': ['mid:1', 'old:1', 'team/old:x'],
    'label=k=v': ['old:1', 'team/old:x'],
    'dangling=true': ['<none>:<none>'],
    'dangling=false': ['mid:1', 'old:1', 'team/old:x'],
    'before=mid:1': ['old:1', 'team/old:x'],
    'since=mid:1': ['<none>:<none>'],
    'reference=old': ['old:1'],
    'reference=*/old:*': ['team/old:x'],
    'until=2023-03-01': ['old:1', 'team/old:x'],
    'until=1h': all,
  };
  for (const [filter, expected] of Object.entries(cases)) assert.deepEqual(await names('-f', filter), expected, filter);
  assert.deepEqual(await names('-f', 'until=2024-06-01', '-f', 'until=2023-03-01'), ['old:1', 'team/old:x']);
  const refused: Record<string, string> = {
    'dangling=T': "invalid filter 'dangling=[T]'",
    'label!=k': "invalid filter 'label!'",
    'foo=x': "invalid filter 'foo'",
    'until=x': 'failed to parse value as time or duration: "x"',
    'before=nope': 'No such image: nope:latest',
  };
  for (const [filter, message] of Object.entries(refused)) {
    const ran = await docker.run(['images', '-f', filter]);
    assert.deepEqual([ran.status, ran.stderr], [1, `Error response from daemon: ${message}\n`]);
  }
  assert.equal((await docker.ok('image', 'prune', '-f')).includes(`deleted: ${bare}`), true);
  assert.deepEqual(await names(), all.slice(1));
});

test('tag and rmi: what is untagged, what is deleted, and who stands in the way', async (t) => {
  await using setup = await imageSetup(t);
  if (!setup) return;
  const { docker } = setup;
  const id = await load(setup, { layers: [lower, upper], tags: ['app:1'] });
  const base = await load(setup, { layers: [lower], tags: ['base:1'] });
  const short = id.slice(7, 19);
  const refuses = async (args: string[], message: string) => {
    const ran = await docker.run(args);
    assert.deepEqual([ran.status, ran.stderr], [1, `Error response from daemon: ${message}\n`]);
  };
  await docker.ok('tag', 'app:1', 'app:2');
  await docker.ok('tag', short, 'host:5000/team/app:3');
  await refuses(['tag', 'app:1', 'sha256:x'], 'refusing to create an ambiguous tag using digest algorithm as name');
  await refuses(['tag', 'nope', 'x'], 'No such image: nope:latest');
  assert.equal(await docker.ok('rmi', 'app:2'), 'Untagged: app:2\n');
  await refuses(
    ['rmi', short],
    `conflict: unable to delete ${short} (must be forced) - image is referenced in multiple repositories`,
  );
  await docker.ok('rmi', 'host:5000/team/app:3');
  const container = (await docker.ok('create', '--name', 'holder', '--network', 'none', 'app:1')).trim().slice(0, 12);
  await refuses(
    ['rmi', 'app:1'],
    `conflict: unable to remove repository reference "app:1" (must force) - container ${container} is using its referenced image ${short}`,
  );
  await refuses(
    ['rmi', short],
    `conflict: unable to delete ${short} (must be forced) - image is being used by stopped container ${container}`,
  );
  assert.equal(await docker.ok('rmi', '-f', 'app:1'), `Untagged: app:1\nDeleted: ${id}\n`);
  await docker.ok('rm', 'holder');
  assert.match(
    await docker.ok('rmi', base.slice(7, 19)),
    new RegExp(`^Untagged: base:1\nDeleted: ${base}\nDeleted: sha256:`),
  );
  const nope = await docker.run(['rmi', 'nope']);
  const words = notFoundWords(docker, 'No such image: nope:latest', 'No such image: nope');
  assert.deepEqual([nope.status, nope.stderr], [1, `${words}\n`]);
  assert.equal((await docker.run(['rmi', '-f', 'nope'])).status, 0);
  assert.equal(await docker.ok('images', '-aq'), '');
  const checked = verify(setup);
  assert.equal(checked.status, 0, checked.output);
});

test('an image that runs cannot be deleted by force; export and import carry a container over', async (t) => {
  await using setup = await imageSetup(t);
  if (!setup) return;
  const { docker, folder } = setup;
  const root = join(folder, 'root.tar');
  await writeFile(root, baseImageTar());
  const changes = ['CMD ["sleep","100"]', 'ENV A=b', 'LABEL l=m', 'EXPOSE 80', 'WORKDIR /tmp', 'USER root'];
  const id = (
    await docker.ok('import', '-m', 'by hand', ...changes.flatMap((change) => ['-c', change]), root, 'base:1')
  ).trim();
  const config = JSON.parse(await docker.ok('image', 'inspect', '-f', '{{json .Config}}', 'base:1'));
  assert.deepEqual(
    [config.Cmd, config.Env, config.Labels, config.WorkingDir],
    [['sleep', '100'], ['A=b'], { l: 'm' }, '/tmp'],
  );
  assert.match(await docker.ok('history', 'base:1'), /by hand/);
  const container = (await docker.ok('run', '-d', '--name', 'runs', '--network', 'none', 'base:1')).trim().slice(0, 12);
  const short = id.slice(7, 19);
  const forced = await docker.run(['rmi', '-f', id]);
  const conflict = `conflict: unable to delete ${short} (cannot be forced) - image is being used by running container ${container}`;
  assert.equal(forced.stderr, `Error response from daemon: ${conflict}\n`);
  await docker.ok('exec', 'runs', 'sh', '-c', 'echo kept > /tmp/mark');
  const exported = join(folder, 'exported.tar');
  await docker.ok('export', '-o', exported, 'runs');
  assert.equal(spawnSync('tar', ['-xOf', exported, 'tmp/mark'], { encoding: 'utf8' }).stdout, 'kept\n');
  await docker.ok('rm', '-f', 'runs');
  const again = await docker.run(['import', '-', 'again:1'], { input: await readFile(exported) });
  assert.match(again.stdout, /^sha256:[0-9a-f]{64}\n$/);
  assert.equal(await docker.ok('run', '--rm', '--network', 'none', 'again:1', 'cat', '/tmp/mark'), 'kept\n');
  for (const [args, message] of [
    [['-c', 'RUN x', root], 'RUN is not a valid change command'],
    [['--platform', 'windows', root], 'operating system is not supported'],
    [[root, `i@sha256:${'0'.repeat(64)}`], 'cannot import digest reference'],
  ] as const) {
    assert.equal((await docker.run(['import', ...args])).stderr, `Error response from daemon: ${message}\n`);
  }
});

test('prune, df and events tell what happened', async (t) => {
  await using setup = await imageSetup(t);
  if (!setup) return;
  const { docker } = setup;
  const since = String(Math.floor(Date.now() / 1000));
  const id = await load(setup, { layers: [lower, upper], tags: ['app:1'], labels: { k: 'v' } });
  await load(setup, { layers: [lower], tags: ['base:1'] });
  assert.match(await docker.ok('system', 'df'), /^TYPE +TOTAL +ACTIVE +SIZE +RECLAIMABLE\nImages +2 +0 /);
  const usage = JSON.parse((await curl(setup, 'GET', '/system/df?type=image')).body);
  assert.equal(usage.LayersSize, lower.length + upper.length);
  assert.deepEqual(
    usage.Images.map((image: { SharedSize: number }) => image.SharedSize),
    [lower.length, lower.length],
  );
  assert.match(await docker.ok('system', 'df', '-v'), /Images space usage:[\s\S]*app +1 /);
  await docker.ok('tag', 'app:1', 'app:2');
  await docker.ok('rmi', 'app:2');
  assert.match(
    await docker.ok('image', 'prune', '-af', '--filter', 'label=k'),
    new RegExp(`untagged: app:1\n[\\s\\S]*deleted: ${id}`),
  );
  assert.match(await docker.ok('system', 'prune', '-f', '--filter', 'label=zz'), /Total reclaimed space: 0B/);
  assert.match(await docker.ok('builder', 'prune', '-af'), /Total( reclaimed space)?:\s+0B/);
  const pruned = await docker.ok('system', 'prune', '-af', '--volumes');
  assert.match(pruned, /untagged: base:1\n/);
  assert.equal(await docker.ok('images', '-aq'), '');
  const until = String(Math.floor(Date.now() / 1000) + 1);
  const told = lines(
    await docker.ok('events', '--since', since, '--until', until, '--filter', 'type=image', '--format', '{{json .}}'),
  )
    .map((line) => JSON.parse(line))
    .filter((event) => event.id === id);
  assert.deepEqual(
    told.map((event) => event.Action),
    ['load', 'tag', 'untag', 'untag', 'delete'],
  );
  assert.deepEqual(told[0].Actor.Attributes, { k: 'v', name: id });
  assert.deepEqual(told[1].Actor.Attributes, { k: 'v', name: 'app:2' });
  assert.deepEqual(told[4].Actor.Attributes, { name: id });
  const checked = verify(setup);
  assert.equal(checked.status, 0, checked.output);
});
