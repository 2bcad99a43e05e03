/**
 * Layers of random entries: what one driver shows, every other shows, and so does another engine. `WHERRY_RANDOM_STACKS` is the number of
 * stacks, for campaigns; `WHERRY_RANDOM_SEED` repeats one.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { isKind } from '#errdefs';
import type { DiffID } from '#oci';
import { openErofs, openOverlay2, openVfs } from '#snapshots';
import { requireRoot } from '#testing';
import { Bench, treeDifferencesOf } from '../../src/snapshots/testsuite/bench.ts';
import { folder, TestRoot } from '../../src/snapshots/testsuite/layers.ts';
import { agreedStack, anyStack } from '../../src/snapshots/testsuite/random-stacks.ts';
import { Podman, savedImage } from '../support/podman.ts';

const run = promisify(execFile);
const count = Number(process.env['WHERRY_RANDOM_STACKS'] ?? 60);
const seed = Number(process.env['WHERRY_RANDOM_SEED'] ?? 0) || undefined;
const seeded = seed === undefined ? {} : { seed };

test('random layers: every driver shows the same tree, or refuses', async (t) => {
  if (!requireRoot(t)) return;
  await using root = await TestRoot.open();
  await using erofs = await openErofs(root.options('erofs'));
  await using overlay = await openOverlay2(root.options('overlay2'));
  await using copies = await openVfs(root.options('vfs'));
  let shown = 0;
  await fc.assert(
    fc.asyncProperty(anyStack, async (stack) => {
      const chain = await root.add(...stack);
      const drivers = [copies, erofs, overlay];
      const answers = await Promise.all(drivers.map((driver) => outcome(driver.unpack(chain))));
      assert.deepEqual(answers, [answers[0], answers[0], answers[0]], 'all drivers answer alike');
      if (answers[0] !== 'done') return;
      shown++;
      const roots: string[] = [];
      for (const driver of drivers) {
        await driver.prepare('x', chain);
        roots.push((await driver.mount('x')).root);
      }
      const differences = roots.slice(1).map((tree) => treeDifferencesOf(roots[0]!, tree));
      for (const driver of drivers) await driver.remove('x');
      assert.deepEqual(differences, [[], []]);
    }),
    { numRuns: count, ...seeded },
  );
  assert.ok(shown > count / 10, `${shown} of ${count} stacks could be applied`);
});

async function outcome(work: Promise<void>): Promise<string> {
  try {
    await work;
    return 'done';
  } catch (error) {
    if (isKind(error, 'invalid-argument')) return 'refused';
    throw error;
  }
}

test('random layers show what podman makes of them', async (t) => {
  if (!requireRoot(t)) return;
  await using podman = await Podman.open();
  if (!podman.stacksLayers(t)) return;
  await using bench = await Bench.open((options) => openErofs(options), openVfs);
  // One image holds them all, a folder for each: loading is what takes the time.
  const stacks = fc.sample(anyStack, { numRuns: count, ...seeded }).map((stack, i) => agreedStack(stack, `case-${i}`));
  const layers = [0, 1, 2, 3].map((depth) => [folder('./'), ...stacks.flatMap((stack) => stack[depth] ?? [])]);
  const items = layers.flat().length;
  assert.ok(items > count * 5, `${items} entries`);
  const image = join(bench.root.path, 'image.tar');
  writeFileSync(image, savedImage(layers));
  const theirs = await podman.mount(image);
  const ours = await bench.start('x', await bench.root.add(...layers));
  // Podman gives the root of every image a mode and a time of its own.
  const differences = treeDifferencesOf(theirs, ours).filter((line) => !line.startsWith('"/": '));
  await bench.stop('x');
  assert.deepEqual(differences.slice(0, 20), []);
});

/** For campaigns: files that `docker save` wrote, with colons between them. */
const savedImages = process.env['WHERRY_SAVED_IMAGES']?.split(':') ?? [];

test('real images show what podman makes of them', async (t) => {
  if (!requireRoot(t)) return;
  if (savedImages.length === 0) return t.skip('WHERRY_SAVED_IMAGES names no images');
  await using podman = await Podman.open();
  if (!podman.stacksLayers(t)) return;
  for (const path of savedImages) {
    await using bench = await Bench.open((options) => openErofs(options), openVfs);
    const unpacked = join(bench.root.path, 'image');
    mkdirSync(unpacked);
    await run('tar', ['-xf', path, '-C', unpacked]);
    const [image] = JSON.parse(readFileSync(join(unpacked, 'manifest.json'), 'utf8')) as [{ Layers: string[] }];
    const chain: DiffID[] = [];
    for (const layer of image.Layers) chain.push(await bench.root.addFile(join(unpacked, layer)));
    const theirs = await podman.mount(path);
    const ours = await bench.start('x', chain);
    const differences = treeDifferencesOf(theirs, ours).filter((line) => !line.startsWith('"/": '));
    await bench.stop('x');
    assert.deepEqual(differences.slice(0, 20), [], path);
  }
});
