/** `--dedup=files`: kill -9 while layers begin to read from each other, and while they get their bytes back. `WHERRY_RECIPE_KILLS` asks for more of it. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { canShare } from '#image-files';
import { imageSetup, load, type Setup, tarOf, verify } from './images-fixture.ts';

const rounds = Number(process.env['WHERRY_RECIPE_KILLS'] ?? 1);
const well = { status: 0, output: 'everything is well\n' };
const images = ['app:0', 'app:1', 'app:2', 'app:3'] as const;

/** Random, but the same files in each. */
function trees(round: number) {
  const common = Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`lib/${i}`, randomBytes(20_000 + i * 3001)]));
  return images.map((_, at) => ({ [`v${round}`]: randomBytes(1 + at * 600), ...common, own: randomBytes(300_000) }));
}

async function savedBytes({ docker, folder }: Setup, image: string): Promise<Buffer> {
  const path = join(folder, 'saved.tar');
  await docker.ok('save', '-o', path, image);
  return readFileSync(path);
}

test('whenever the daemon is killed, every layer reads as it did', async (t) => {
  await using setup = await imageSetup(t, ['--dedup=files', '--undo-grace=0']);
  if (!setup) return;
  if (canShare(setup.folder)) return t.skip('the temporary folder is on a file system that shares blocks');
  const { docker, daemon } = setup;
  const whole = async (names: readonly string[], saved: ReadonlyMap<string, Buffer>) => {
    assert.deepEqual(verify(setup), well, daemon.log.slice(-3000));
    for (const name of names) assert.ok((await savedBytes(setup, name)).equals(saved.get(name)!), name);
  };
  for (let round = 0; round < rounds; round++) {
    const saved = new Map<string, Buffer>();
    for (const [at, tree] of trees(round).entries()) {
      await load(setup, { layers: [tarOf(tree)], tags: [images[at]!] });
      saved.set(images[at]!, await savedBytes(setup, images[at]!));
    }
    await wait(1500 + Math.random() * 3000);
    await daemon.kill();
    await daemon.start();
    await whole(images, saved);
    // Until all that can be shared is, so that the first has readers.
    await wait(3000);
    await docker.ok('rmi', 'app:0');
    await wait(Math.random() * 3000);
    await daemon.kill();
    await daemon.start();
    await whole(images.slice(1), saved);
    await docker.ok('rmi', ...images.slice(1));
  }
});
