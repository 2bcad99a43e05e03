/** Images that each strain one thing in a store: the number of layers, the bytes of one, the number of images. */
import { endOfArchive, packHeader, packPadding } from '#archive';
import { type CachedArchive, cachedArchive, type WrittenLayer } from './docker-archive.ts';
import { Random } from './random.ts';

const blockBytes = 1 << 20;

interface Place {
  readonly cache: string;
  /** A tar that is the lowest layer. */
  readonly baseTar: Buffer;
}

export interface NamedArchive extends CachedArchive {
  readonly names: readonly string[];
}

/** A layer with one file of random bytes for each step of a long Dockerfile. */
export async function deepImage({ cache, baseTar }: Place, layerCount: number): Promise<NamedArchive> {
  const name = `wherry-bench-deep-${layerCount}:latest`;
  const random = new Random(61);
  const archive = await cachedArchive(cache, `deep-${layerCount}-v1`, async (archive) => {
    const layers: WrittenLayer[] = [await archive.addLayer('base', [baseTar])];
    while (layers.length < layerCount) {
      const name = `layer-${layers.length}`;
      layers.push(
        await archive.addLayer(
          name,
          fileLayer(name, 3, () => randomBlock(random)),
        ),
      );
    }
    return [{ name, layers }];
  });
  return { names: [name], ...archive };
}

/** A file that cannot be compressed and one that is nothing but zeros. */
export async function largeImage({ cache, baseTar }: Place, megabytes: number): Promise<NamedArchive> {
  const name = `wherry-bench-large-${megabytes}:latest`;
  const random = new Random(500);
  const zeros = Buffer.alloc(blockBytes);
  const archive = await cachedArchive(cache, `large-${megabytes}-v1`, async (archive) => {
    const layers = [
      await archive.addLayer('base', [baseTar]),
      await archive.addLayer(
        'random',
        fileLayer('random', megabytes, () => randomBlock(random)),
      ),
      await archive.addLayer(
        'zeros',
        fileLayer('zeros', megabytes, () => zeros),
      ),
    ];
    return [{ name, layers }];
  });
  return { names: [name], ...archive };
}

/** Images that differ by a label and share their layer. */
export async function manyImages({ cache, baseTar }: Place, count: number): Promise<NamedArchive> {
  const names = Array.from({ length: count }, (_, index) => `wherry-bench-many-${index}:latest`);
  const archive = await cachedArchive(cache, `many-${count}-v1`, async (archive) => {
    const layers = [await archive.addLayer('base', [baseTar])];
    return names.map((name, index) => ({ name, layers, labels: { number: `${index}` } }));
  });
  return { names, ...archive };
}

function* fileLayer(name: string, megabytes: number, block: () => Uint8Array): Generator<Uint8Array> {
  const sizeBytes = megabytes * blockBytes;
  yield packHeader({ type: 'file', path: name, mode: 0o644, sizeBytes });
  for (let done = 0; done < megabytes; done++) yield block();
  yield packPadding(sizeBytes);
  yield endOfArchive;
}

function randomBlock(random: Random): Buffer {
  const words = new Uint32Array(blockBytes / 4);
  for (let at = 0; at < words.length; at++) words[at] = random.below(2 ** 32);
  return Buffer.from(words.buffer);
}
