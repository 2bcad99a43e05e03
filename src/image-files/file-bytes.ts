import { StoredBlob } from '#content';
import { EngineError } from '#errdefs';
import type { DiffID } from '#oci';
import type { DataPlace } from './image-tree.ts';

/** Contents of files, read at once and blocking: for worker threads. Tars are opened when first read and stay open until it is disposed. */
export class FileBytes implements Disposable {
  readonly #tarOf: (layer: DiffID) => string;
  readonly #open = new Map<DiffID, StoredBlob>();

  constructor(tarOf: (layer: DiffID) => string) {
    this.#tarOf = tarOf;
  }

  [Symbol.dispose](): void {
    for (const tar of this.#open.values()) tar[Symbol.dispose]();
    this.#open.clear();
  }

  /** Fills `target` with what stands from `offset` in a file whose data is at `places`. @throws `data-loss` when a tar is too short. */
  read(places: readonly DataPlace[], target: Buffer, offset: number): void {
    const end = offset + target.length;
    target.fill(0);
    for (const place of places) {
      const from = Math.max(offset, place.offset);
      const to = Math.min(end, place.offset + place.lengthBytes);
      if (from >= to) continue;
      const part = target.subarray(from - offset, to - offset);
      const at = place.sourceOffset + from - place.offset;
      if ('index' in place.source) place.source.index.read(part, at);
      else this.#readTar(place.source.layer, part, at);
    }
  }

  #readTar(layer: DiffID, target: Buffer, offset: number): void {
    const tar = this.#open.get(layer) ?? this.#openTar(layer);
    if (tar.read(target, offset) < target.length)
      throw new EngineError('data-loss', `read layer ${layer}: its tar is too short`);
  }

  #openTar(layer: DiffID): StoredBlob {
    const tar = StoredBlob.open(this.#tarOf(layer));
    this.#open.set(layer, tar);
    return tar;
  }
}
