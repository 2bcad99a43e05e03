import type { ByteString, TarEntry } from '#archive';
import { cleanTreePath } from '../executor/index.ts';

export const whiteoutPrefix = '.wh.';
export const opaqueMarker = '.wh..wh..opq';

/** A file of a layer; names that are hardlinks of each other share it. */
export interface MergedFile<L> {
  readonly entry: TarEntry;
  readonly layer: L;
}

/** One name. What is below the merged layers shows through unless it is hidden. */
export interface Place<L> {
  file?: MergedFile<L>;
  /** Whatever the layers below have here is gone, with all that is in it. */
  hides: boolean;
  readonly children: Map<ByteString, Place<L>>;
}

/** Layers laid over each other, as a tree of what they leave (image-spec v1.1 layer.md). */
export class MergedLayers<L> {
  readonly root: Place<L> = emptyPlace();

  /** Lays a layer over those before it. Answers the hardlinks whose target no layer has. */
  add(layer: L, entries: readonly TarEntry[]): TarEntry[] {
    const named = entries.map((entry) => ({ entry, path: partsOf(entry.path) }));
    // Whiteouts speak of the layers below only, wherever in the tar they stand.
    for (const { path } of named) this.#remove(path);
    const unresolved: TarEntry[] = [];
    for (const { entry, path } of named) {
      if (path.at(-1)?.startsWith(whiteoutPrefix)) continue;
      const file = entry.type === 'hardlink' ? this.#find(partsOf(entry.linkPath))?.file : { entry, layer };
      if (file) this.#put(path, file);
      else unresolved.push(entry);
    }
    return unresolved;
  }

  /** Puts a file that is from below the merged layers. */
  putAt(path: ByteString, file: MergedFile<L>): void {
    this.#put(partsOf(path), file);
  }

  #find(path: readonly ByteString[]): Place<L> | undefined {
    let place: Place<L> | undefined = this.root;
    for (const name of path) place = place?.children.get(name);
    return place;
  }

  #remove(path: readonly ByteString[]): void {
    const name = path.at(-1);
    if (!name?.startsWith(whiteoutPrefix)) return;
    const above = path.slice(0, -1);
    const removed = name === opaqueMarker ? above : [...above, name.slice(whiteoutPrefix.length)];
    const place = this.#reach(removed);
    place.children.clear();
    place.hides = true;
    if (name !== opaqueMarker) delete place.file;
  }

  #put(path: readonly ByteString[], file: MergedFile<L>): void {
    const place = this.#reach(path);
    const isFolder = file.entry.type === 'directory';
    const wasFolder = place.file === undefined || place.file.entry.type === 'directory';
    if (!isFolder || !wasFolder) {
      place.children.clear();
      place.hides = true;
    }
    place.file = file;
  }

  #reach(path: readonly ByteString[]): Place<L> {
    let place = this.root;
    for (const name of path) {
      const next = place.children.get(name) ?? emptyPlace<L>();
      place.children.set(name, next);
      place = next;
    }
    return place;
  }
}

function emptyPlace<L>(): Place<L> {
  return { hides: false, children: new Map() };
}

function partsOf(path: ByteString): readonly ByteString[] {
  const clean = cleanTreePath(path);
  return clean === '' ? [] : clean.split('/');
}
