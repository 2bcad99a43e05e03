import { closeSync, fsyncSync, ftruncateSync, openSync, rmSync, writeSync } from 'node:fs';
import { encodeRecipe, Recipe, StoredBlob, siblingBlob } from '#content';
import { isErrno } from '#errdefs';
import type { DiffID, Digest } from '#oci';
import { contentList } from './content-list.ts';
import type { UsageLayer } from './duplicates.ts';
import { type Donor, offer, planRecipe } from './plan-recipe.ts';
import { diskBlockBytes } from './share-blocks.ts';

/** A layer that is to be looked at. */
export interface HeavyLayer extends UsageLayer {
  /** A fresh file for what is left of its bytes. */
  readonly staged: string;
}

/** What came of a layer: its new file is written and synced, when there is a recipe. */
export interface LightLayer {
  readonly diffID: DiffID;
  readonly recipe: Uint8Array | undefined;
  readonly sources: readonly DiffID[];
  /** Of files that others have. */
  readonly sharedBytes: number;
  /** What should be the same by its digest is not: nothing was done. */
  readonly differing: boolean;
}

/**
 * Finds of each layer the files that those before it have, and writes what is left of its bytes. `donors` were looked at before. The caller puts one layer
 * in place after the other; what did not come to be is looked at again another time. Blocking.
 */
export function* lightenLayers(layers: readonly HeavyLayer[], donors: readonly UsageLayer[]): Generator<LightLayer> {
  const known = new Map<string, Donor>();
  for (const layer of donors) {
    try {
      using tar = StoredBlob.open(layer.tar);
      offer({ diffID: layer.diffID, files: contentList(layer) }, tar, known);
    } catch (error) {
      // Removed meanwhile.
      if (!isErrno(error, 'ENOENT')) throw error;
    }
  }
  for (const layer of layers) {
    try {
      yield lighten(layer, known);
    } catch (error) {
      rmSync(layer.staged, { force: true });
      if (!isErrno(error, 'ENOENT')) throw error;
    }
  }
}

function lighten(layer: HeavyLayer, donors: Map<string, Donor>): LightLayer {
  const { diffID, staged } = layer;
  using tar = StoredBlob.open(layer.tar);
  const files = contentList(layer);
  // One that is there already comes from a try that was cut short: what it names is kept for it.
  const recipe = tar.recipe ?? planRecipe({ diffID, files }, tar, donors);
  if (tar.recipe) offer({ diffID, files }, tar, donors);
  const nothing = { diffID, recipe: undefined, sources: [], sharedBytes: 0, differing: false };
  if (!recipe) return nothing;
  if (!tar.recipe && !isTrue(recipe, tar, layer.tar)) return { ...nothing, differing: true };
  writeRest(tar, recipe, staged);
  const sources = recipe.sources.filter((source) => (source as string) !== diffID) as readonly string[] as DiffID[];
  const elsewhere = recipe.segments.filter(({ source }) => source !== undefined);
  const sharedBytes = elsewhere.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
  return { diffID, recipe: encodeRecipe(recipe), sources, sharedBytes, differing: false };
}

/** What of its recipe a layer goes on with when its file has again what it read from `without`; undefined for nothing. Blocking. */
export function refillLayer(
  { tar: path, staged }: Pick<HeavyLayer, 'tar' | 'staged'>,
  without: readonly Digest[],
): { readonly recipe: Uint8Array | undefined } {
  using tar = StoredBlob.open(path);
  const segments = (tar.recipe?.segments ?? []).filter(({ source }) => !without.some((gone) => gone === source));
  const isLeft = segments.some(({ source }) => source !== undefined);
  const recipe = new Recipe(isLeft ? segments : [], isLeft ? tar.recipe!.literals : Buffer.alloc(0));
  writeRest(tar, recipe, staged);
  return { recipe: isLeft ? encodeRecipe(recipe) : undefined };
}

const chunkBytes = 1 << 20;

/** Byte by byte: of two copies, one may have been damaged since its digest was taken. */
function isTrue(recipe: Recipe, tar: StoredBlob, path: string): boolean {
  using sources = new DisposableStack();
  const open = new Map(
    recipe.sources.map((digest) => [digest, sources.use(StoredBlob.open(siblingBlob(path, digest)))]),
  );
  const [own, other] = [Buffer.allocUnsafeSlow(chunkBytes), Buffer.allocUnsafeSlow(chunkBytes)];
  return recipe.segments.every(({ offset, lengthBytes, source, sourceOffset }) => {
    if (source === undefined) return true;
    for (let done = 0; done < lengthBytes; done += chunkBytes) {
      const length = Math.min(chunkBytes, lengthBytes - done);
      tar.readFully(own.subarray(0, length), offset + done);
      open.get(source)!.readFully(other.subarray(0, length), sourceOffset + done);
      if (own.compare(other, 0, length, 0, length) !== 0) return false;
    }
    return true;
  });
}

/** A file of the layer's size with the bytes that the recipe does not name, synced. Blocks of zeros become holes. */
function writeRest(tar: StoredBlob, recipe: Recipe, staged: string): void {
  const fd = openSync(staged, 'wx', 0o600);
  try {
    const chunk = Buffer.allocUnsafeSlow(chunkBytes);
    for (const { offset, lengthBytes, segment } of recipe.pieces(0, tar.sizeBytes)) {
      if (segment) continue;
      for (let done = 0; done < lengthBytes; done += chunkBytes) {
        const part = chunk.subarray(0, Math.min(chunkBytes, lengthBytes - done));
        tar.readFully(part, offset + done);
        writeData(fd, part, offset + done);
      }
    }
    ftruncateSync(fd, tar.sizeBytes);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

const zeros = Buffer.alloc(diskBlockBytes);

/** Without whole blocks of zeros. */
function writeData(fd: number, bytes: Buffer, offset: number): void {
  for (let at = 0; at < bytes.length; ) {
    const next = Math.min(bytes.length, at + diskBlockBytes - ((offset + at) % diskBlockBytes));
    let end = next;
    if (isZero(bytes.subarray(at, next))) {
      at = next;
      continue;
    }
    while (end < bytes.length && !isZero(bytes.subarray(end, Math.min(bytes.length, end + diskBlockBytes))))
      end = Math.min(bytes.length, end + diskBlockBytes);
    for (; at < end; ) at += writeSync(fd, bytes, at, end - at, offset + at);
  }
}

function isZero(bytes: Buffer): boolean {
  return bytes.length === diskBlockBytes && bytes.equals(zeros);
}
