import { closeSync, openSync, statSync } from 'node:fs';
import { type Recipe, readRecipe, StoredBlob, siblingBlob } from '#content';
import { type DataRun, type DataSource, type IndexImage, readerSource, relocateIndex, type SourceOf } from '#erofs';
import type { Digest } from '#oci';
import { layerTag } from './layer-index.ts';

export interface RelocatedIndex {
  readonly index: string;
  /** A fresh file. */
  readonly placed: string;
  /** Tars by tag. */
  readonly tars: Readonly<Record<string, string>>;
}

/** Makes an index that points at file data where recipes say it is. Blocking. */
export function relocateByRecipes({ index, placed, tars }: RelocatedIndex): IndexImage {
  using resources = new DisposableStack();
  const places = new Places(resources, tars);
  const fd = resources.adopt(openSync(placed, 'wx', 0o600), closeSync);
  return relocateIndex(index, { sourceOf: places.sourceOf, placesOf: (run) => places.placesOf(run) }, fd);
}

class Places {
  readonly #resources: DisposableStack;
  readonly #tars: Readonly<Record<string, string>>;
  readonly #recipes = new Map<string, Recipe>();
  readonly #sources = new Map<string, DataSource>();
  readonly #readable = new Map<string, DataSource>();

  constructor(resources: DisposableStack, tars: Readonly<Record<string, string>>) {
    this.#resources = resources;
    this.#tars = tars;
    for (const [tag, path] of Object.entries(tars)) {
      const recipe = readRecipe(path);
      if (recipe) this.#recipes.set(tag, recipe);
    }
  }

  readonly sourceOf: SourceOf = (tag, sizeBytes) => this.#source(tag, sizeBytes, this.#tars[tag] ?? '');

  placesOf(run: DataRun): readonly DataRun[] {
    const recipe = this.#recipes.get(run.source.tag);
    if (!recipe) return [run];
    const end = run.sourceOffset + run.lengthBytes;
    return [...recipe.pieces(run.sourceOffset, end)].map(({ offset, lengthBytes, segment }) => {
      const piece = { ...run, offset: run.offset + offset - run.sourceOffset, lengthBytes, sourceOffset: offset };
      if (!segment) return piece;
      // What the recipe itself holds is copied into the index.
      if (segment.source === undefined) return { ...piece, source: this.#readableSource(run.source.tag) };
      const sourceOffset = segment.sourceOffset + offset - segment.offset;
      return { ...piece, source: this.#blobSource(run.source.tag, segment.source), sourceOffset };
    });
  }

  #blobSource(tag: string, digest: Digest): DataSource {
    const own = layerTag(digest as never);
    const path = siblingBlob(this.#tars[tag]!, digest);
    return this.#sources.get(own) ?? this.#source(own, statSync(path).size, path);
  }

  #source(tag: string, sizeBytes: number, path: string): DataSource {
    const known = this.#sources.get(tag);
    if (known) return known;
    const source = { tag, sizeBytes, read: this.#reader(tag, path) };
    this.#sources.set(tag, source);
    return source;
  }

  #readableSource(tag: string): DataSource {
    const known = this.#readable.get(tag);
    if (known) return known;
    const source = { tag: '', sizeBytes: 0, read: this.#reader(tag, this.#tars[tag]!) };
    this.#readable.set(tag, source);
    return source;
  }

  #reader(tag: string, path: string): DataSource['read'] {
    let opened: DataSource | undefined;
    return (target, offset) => {
      opened ??= readerSource(this.#resources.use(StoredBlob.open(path)), tag);
      opened.read(target, offset);
    };
  }
}
