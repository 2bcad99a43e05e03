/** `wherry system df --files`: what layers and images have several times. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { FileUsage } from '#api-types';
import { program } from './build-fixture.ts';
import { imageSetup, load, type Setup, tarOf } from './images-fixture.ts';

function usage({ daemon }: Setup, ...args: string[]): FileUsage {
  const ran = spawnSync(program, ['-H', daemon.host, 'system', 'df', '--files', '--json', ...args], {
    encoding: 'utf8',
  });
  assert.equal(ran.status, 0, ran.stderr);
  return JSON.parse(ran.stdout) as FileUsage;
}

test('copies are found across layers and images, counted and named', async (t) => {
  await using setup = await imageSetup(t);
  if (!setup) return;
  const [big, small] = ['b'.repeat(10_000), 's'.repeat(100)];
  const base = tarOf({ 'usr/big': big, one: '1', empty: '' });
  const layers = [base, tarOf({ 'opt/copy': big, small }), tarOf({ 'srv/third\n': big, again: small, other: 'o' })];
  await load(setup, { layers: layers.slice(0, 2), tags: ['first:1'] });
  await load(setup, { layers: [base, layers[2]!], tags: ['second:1'] });
  const found = usage(setup);
  const sizeBytes = 3 * 10_000 + 2 * 100 + 1 + 1;
  const duplicateBytes = 2 * 10_000 + 100;
  assert.deepEqual(
    {
      ...found,
      groups: found.groups.map(({ files, digest, ...rest }) => ({ ...rest, paths: files.map(({ path }) => path) })),
    },
    {
      layers: 3,
      files: 7,
      sizeBytes,
      uniqueBytes: sizeBytes - duplicateBytes,
      duplicateBytes,
      // All three begin at the same place in a block, and fill one more whole block and some.
      sharableBytes: found.sharableBytes,
      sharedBytes: null,
      groups: [
        { sizeBytes: 10_000, copies: 3, wastedBytes: 20_000, paths: ['/usr/big', '/opt/copy', '/srv/third\n'] },
        { sizeBytes: 100, copies: 2, wastedBytes: 100, paths: ['/small', '/again'] },
      ],
    },
  );
  assert.equal(found.sharableBytes, 2 * 4096);
  const images = Object.fromEntries(found.groups[0]!.files.map((file) => [file.path, [...file.images].sort()]));
  assert.deepEqual(images, {
    '/usr/big': ['first:1', 'second:1'],
    '/opt/copy': ['first:1'],
    '/srv/third\n': ['second:1'],
  });
  assert.equal(usage(setup, '--groups', '1').groups.length, 1);
  const text = spawnSync(program, ['-H', setup.daemon.host, 'system', 'df', '--files'], { encoding: 'utf8' }).stdout;
  assert.match(text, /^7 files in 3 layers: 30\.2kB, of which 20\.1kB \(66\.6 %\) are copies\n/);
  assert.match(
    text,
    /\n20kB {2}3 copies of 10kB\n {4}\/usr\/big {2}in [0-9a-f]{12} of (first|second):1, (first|second):1\n/,
  );
  assert.match(text, /\n {4}"\/srv\/third\\n" {2}in [0-9a-f]{12} of second:1\n/);
  // What was found out once is kept, is made again when it is broken, and goes with the layer.
  const lists = join(setup.daemon.dataRoot, 'layer-files');
  for (const name of await readdir(lists)) await writeFile(join(lists, name), 'broken');
  assert.deepEqual(usage(setup), found);
  await setup.docker.ok('rmi', 'second:1');
  const left = usage(setup);
  assert.deepEqual([left.layers, left.files, left.duplicateBytes], [2, 4, 10_000]);
});
