import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { containerSetup } from './containers-fixture.ts';

test('places that something is mounted on are made with the modes dockerd gives them', async (t) => {
  await using setup = await containerSetup(t);
  if (!setup) return;
  const { docker, folder, sh } = setup;
  writeFileSync(join(folder, 'file'), 'x');
  mkdirSync(join(folder, 'folder'));
  const binds = [
    '-v',
    `${folder}/file:/made/file`,
    '-v',
    `${folder}/folder:/also/made`,
    '--tmpfs',
    '/t',
    '-v',
    'vol:/v',
  ];
  const inner = ['-v', `${folder}/folder:/v/inner`];
  await docker.ok('run', '--name', 'mounts', ...binds, ...inner, 'base', 'true');
  await docker.ok('commit', 'mounts', 'kept');
  const script = 'stat -c "%n %a %u %s" /made /made/file /also /also/made /t /v; ls -A /v';
  const seen = await docker.ok('run', '--rm', 'kept', 'sh', '-c', script);
  const modes = seen.replaceAll(/^(\/(?:made|also|also\/made|t|v) 755 0) \d+$/gm, '$1');
  assert.equal(modes, '/made 755 0\n/made/file 644 0 0\n/also 755 0\n/also/made 755 0\n/t 755 0\n/v 755 0\n');
  assert.match(await sh(['-v', 'vol:/v'], 'ls -A /v'), /^inner$/);
});

test('the folder of a volume has its name in the archive of a container that does not run', async (t) => {
  await using setup = await containerSetup(t);
  if (!setup) return;
  const { docker, folder } = setup;
  await docker.ok('create', '--name', 'stopped', '-v', 'vol:/deep/data', 'base', 'true');
  writeFileSync(join(folder, 'file'), 'x');
  await docker.ok('cp', join(folder, 'file'), 'stopped:/deep/data/file');
  const listed = await docker.run(['cp', 'stopped:/deep/data', join(folder, 'copy')]);
  assert.equal(listed.status, 0, listed.stderr);
  await docker.ok('cp', 'stopped:/deep/data', folder);
  await docker.ok('start', '-a', 'stopped');
  const archive = await docker.ok('cp', 'stopped:/deep/data', '-');
  assert.match(archive, /(?:^|\0)data\/\0/);
  assert.match(archive, /data\/file\0/);
});
