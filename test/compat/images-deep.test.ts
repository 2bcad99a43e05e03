/** Images of more layers than overlayfs stacks, from end to end. */
import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { serveRegistry } from '#registry-server';
import { baseImageTar } from '../../scripts/base-image.ts';
import { imageSetup, load, tarOf, verify } from './images-fixture.ts';

const loaded = 500;
const built = 4;
/** So many layers hide what the one below has. */
const hiding = 20;

test('an image of 500 layers loads, builds on, runs, is saved, pushed, pulled', async (t) => {
  await using setup = await imageSetup(t);
  if (!setup) return;
  const { docker, folder } = setup;
  await using registry = await serveRegistry({ root: join(folder, 'registry'), addr: '127.0.0.1:0' });
  const layers = Array.from({ length: loaded - 1 }, (_, i) => {
    const hidden = i > 0 && i < hiding ? { [`.wh.mark-${i - 1}`]: '' } : {};
    return tarOf({ [`mark-${i}`]: `layer ${i}`, last: `${i}`, ...hidden });
  });
  await load(setup, { layers: [baseImageTar(), ...layers], tags: ['deep:1'] });

  const context = join(folder, 'context');
  await mkdir(context);
  const steps = Array.from({ length: built - 1 }, (_, i) => `COPY ${i} /built/${i}`);
  for (let i = 0; i < built - 1; i++) await writeFile(join(context, String(i)), `built ${i}`);
  const dockerfile = ['FROM deep:1', ...steps, 'RUN cat /last /built/2 > /ran', 'CMD ["true"]'].join('\n');
  await writeFile(join(context, 'Dockerfile'), dockerfile);
  const deepest = `${registry.address}/deep:2`;
  await docker.ok('build', '-q', '--network', 'none', '-t', deepest, context);
  const depth = ['image', 'inspect', '-f', '{{len .RootFS.Layers}}', deepest];
  assert.equal((await docker.ok(...depth)).trim(), String(loaded + built));

  const look = 'ls -d /mark-* | wc -l; cat /ran; echo; cat /built/0; rm /built/0; echo new > /last; ls /built | wc -l';
  const run = () => docker.ok('run', '--rm', '--network', 'none', deepest, 'sh', '-c', look);
  const seen = `${loaded - hiding}\n${loaded - 2}built 2\nbuilt 0${built - 2}\n`;
  assert.equal(await run(), seen);

  await docker.ok('push', '-q', deepest);
  const archive = join(folder, 'saved.tar');
  await docker.ok('save', '-o', archive, deepest);
  const id = await docker.ok('image', 'inspect', '-f', '{{.Id}}', deepest);
  for (const bringBack of [
    ['load', '-qi', archive],
    ['pull', '-q', deepest],
  ]) {
    await docker.ok('rmi', '-f', deepest, 'deep:1');
    await docker.ok(...bringBack);
    assert.equal(await docker.ok('image', 'inspect', '-f', '{{.Id}}', deepest), id);
    assert.equal(await run(), seen);
    await load(setup, { layers: [tarOf({ x: 'x' })], tags: ['deep:1'] });
  }
  assert.deepEqual(verify(setup), { status: 0, output: 'everything is well\n' });
});
