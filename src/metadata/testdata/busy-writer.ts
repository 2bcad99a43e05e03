/** Stores, names and removes images without end, and says so after each promise: `+name`, `?name` (about to remove), `-name`. */
import { writeSync } from 'node:fs';
import { join } from 'node:path';
import { openContentStore } from '#content';
import { openMetadata } from '../store.ts';
import { addLayer, makeImage } from '../testsuite.ts';

const [root, round] = process.argv.slice(2) as [string, string];
const content = await openContentStore({ root: join(root, 'content') });
const metadata = await openMetadata({ root, content });
const say = (line: string) => writeSync(1, `${line}\n`);

async function store(name: string): Promise<void> {
  await using lease = await metadata.lease();
  const stores = { content, metadata };
  const layers = [await addLayer(stores, 50_000, lease), await addLayer(stores, 100, lease)];
  await metadata.images.put(await makeImage(content, layers), [name]);
  say(`+${name}`);
}

async function remove(name: string): Promise<void> {
  say(`?${name}`);
  await metadata.images.remove(metadata.images.byName(name)!.id);
  say(`-${name}`);
  await metadata.collect();
}

async function work(lane: number): Promise<never> {
  for (let step = 0; ; step++) {
    const name = `docker.io/library/r${round}:${lane}-${step}`;
    await store(name);
    if (step % 2 === 1) await remove(name);
  }
}

await Promise.all([work(0), work(1), work(2)]);
