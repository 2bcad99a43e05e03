import { createHash } from 'node:crypto';
import { mkdir, readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { readRecipeFile, sourcesOfRecipe } from '#content';
import { IndexFile } from '#erofs';
import { EngineError, isErrno } from '#errdefs';
import { removeIfPresent } from '#files';
import type { DiffID } from '#oci';
import { fileSize, placeIndex, temporaryIndex } from './index-files.ts';
import { type LayerIndex, layerTag } from './layer-index.ts';
import type { SnapshotWorkers } from './workers.ts';

export interface PlacedIndexesOptions {
  readonly root: string;
  readonly contentPath: (diffID: DiffID) => string;
  readonly workers: SnapshotWorkers;
}

/** What the kernel is given to mount. */
export type MountedIndex = Pick<LayerIndex, 'path' | 'devices'>;

/**
 * Indexes for the kernel, of layers whose files do not hold all of their data: it knows no recipes, so a second index points at the data where it is, in
 * the files of other layers. Made when first mounted, for the recipes of that moment, which the name tells.
 */
export class PlacedIndexes {
  readonly #options: PlacedIndexesOptions;

  constructor(options: PlacedIndexesOptions) {
    this.#options = options;
  }

  get #folder(): string {
    return join(this.#options.root, 'layers', 'placed');
  }

  /** The index itself where its layers' files are whole. */
  async of(index: LayerIndex): Promise<MountedIndex> {
    const { contentPath } = this.#options;
    const recipes = await Promise.all(index.devices.map((layer) => readRecipeFile(contentPath(layer))));
    const found = recipes.filter((bytes) => bytes !== undefined);
    if (found.length === 0) return index;
    const hash = createHash('sha256');
    for (const bytes of recipes) hash.update(bytes ?? '-');
    const path = join(this.#folder, `${basename(index.path, '.erofs')}.${hash.digest('hex').slice(0, 16)}.placed`);
    if ((await fileSize(path)) === undefined) await this.#make(index, path);
    const layers = new Set([
      ...index.devices,
      ...found.flatMap((bytes) => sourcesOfRecipe(bytes) as readonly string[]),
    ]);
    return { path, devices: devicesOf(path, [...layers] as DiffID[]) };
  }

  /** All that was made of an index. */
  async remove(indexPath: string): Promise<void> {
    const prefix = `${basename(indexPath, '.erofs')}.`;
    for (const name of await this.#names())
      if (name.startsWith(prefix)) await removeIfPresent(join(this.#folder, name));
  }

  /** They are made again: those that are mounted are open. */
  async clear(): Promise<void> {
    for (const name of await this.#names()) await removeIfPresent(join(this.#folder, name));
  }

  async #make(index: LayerIndex, path: string): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    await this.remove(index.path);
    const { contentPath, workers } = this.#options;
    const tars = Object.fromEntries(index.devices.map((layer) => [layerTag(layer), contentPath(layer)]));
    const temporary = temporaryIndex(path);
    try {
      await workers.run({ kind: 'relocate-index', index: index.path, placed: temporary, tars });
      await placeIndex(temporary, path);
    } finally {
      await removeIfPresent(temporary);
    }
  }

  async #names(): Promise<readonly string[]> {
    try {
      return await readdir(this.#folder);
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return [];
      throw error;
    }
  }
}

function devicesOf(path: string, layers: readonly DiffID[]): readonly DiffID[] {
  const byTag = new Map(layers.map((layer) => [layerTag(layer), layer]));
  using index = IndexFile.open(path);
  return index.devices.map(({ tag }) => {
    const layer = byTag.get(tag);
    if (layer === undefined) throw new EngineError('data-loss', `index ${basename(path)} names a layer of no recipe`);
    return layer;
  });
}
