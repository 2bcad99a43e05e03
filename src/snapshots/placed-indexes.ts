import { createHash } from 'node:crypto';
import { mkdir, readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { readRecipeFile, sourcesOfRecipe } from '#content';
import { IndexFile } from '#erofs';
import { EngineError, isErrno, isKind, messageOf } from '#errdefs';
import { removeIfPresent } from '#files';
import type { DiffID } from '#oci';
import { fileSize, placeIndex, temporaryIndex } from './index-files.ts';
import { type LayerIndex, layerTag } from './layer-index.ts';
import type { VerifyOptions } from './types.ts';
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
  async of(index: MountedIndex): Promise<MountedIndex> {
    const { path, sources } = await this.#placeOf(index);
    if (path === undefined) return index;
    if ((await fileSize(path)) === undefined) await this.#make(index, path);
    return { path, devices: devicesOf(path, [...index.devices, ...sources]) };
  }

  /** Where the index for the recipes of this moment is or would be, and whose files it reads beside its own; no path where there is no recipe. */
  async #placeOf({ path, devices }: MountedIndex): Promise<{ path: string | undefined; sources: readonly DiffID[] }> {
    const recipes = await Promise.all(devices.map((layer) => readRecipeFile(this.#options.contentPath(layer))));
    const found = recipes.filter((bytes) => bytes !== undefined);
    if (found.length === 0) return { path: undefined, sources: [] };
    const hash = createHash('sha256');
    for (const bytes of recipes) hash.update(bytes ?? '-');
    const name = `${basename(path, '.erofs')}.${hash.digest('hex').slice(0, 16)}.placed`;
    const sources = new Set(found.flatMap((bytes) => sourcesOfRecipe(bytes) as readonly string[]));
    return { path: join(this.#folder, name), sources: [...sources] as DiffID[] };
  }

  /** Makes what is there anew and compares; with `repair` what differs goes, and the next mount makes it. */
  async *verify(layers: readonly DiffID[], { repair = false }: VerifyOptions = {}): AsyncGenerator<string> {
    const byTag = new Map(layers.map((layer) => [layerTag(layer), layer]));
    for (const name of await this.#names()) {
      const path = join(this.#folder, name);
      const index = this.#indexOf(name, byTag);
      if (!index || (await this.#placeOf(index)).path !== path) continue;
      for (const fault of await this.#faultsOf(index, path)) {
        if (repair) await removeIfPresent(path);
        yield `layers/placed/${name}: ${fault}${repair ? ': removed' : ''}`;
      }
    }
  }

  /** Undefined of one whose index, or a layer of it, is gone. */
  #indexOf(name: string, byTag: ReadonlyMap<string, DiffID>): MountedIndex | undefined {
    const path = join(this.#options.root, 'layers', `${name.split('.').slice(0, -2).join('.')}.erofs`);
    try {
      using index = IndexFile.open(path);
      const devices = index.devices.flatMap(({ tag }) => byTag.get(tag) ?? []);
      return devices.length === index.devices.length ? { path, devices } : undefined;
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return undefined;
      throw error;
    }
  }

  async #faultsOf(index: MountedIndex, path: string): Promise<readonly string[]> {
    const fresh = temporaryIndex(path);
    try {
      await this.#relocate(index, fresh);
      return (await this.#options.workers.run({ kind: 'compare-files', left: path, right: fresh })).faults;
    } catch (error) {
      if (isKind(error, 'canceled')) throw error;
      // Collected meanwhile.
      return (await fileSize(path)) === undefined ? [] : [messageOf(error)];
    } finally {
      await removeIfPresent(fresh);
    }
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

  async #make(index: MountedIndex, path: string): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    await this.remove(index.path);
    const temporary = temporaryIndex(path);
    try {
      await this.#relocate(index, temporary);
      await placeIndex(temporary, path);
    } finally {
      await removeIfPresent(temporary);
    }
  }

  async #relocate({ path, devices }: MountedIndex, placed: string): Promise<void> {
    const { contentPath, workers } = this.#options;
    const tars = Object.fromEntries(devices.map((layer) => [layerTag(layer), contentPath(layer)]));
    await workers.run({ kind: 'relocate-index', index: path, placed, tars });
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
