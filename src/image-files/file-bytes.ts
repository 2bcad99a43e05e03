import { closeSync, openSync, readSync } from 'node:fs';
import { EngineError } from '#errdefs';
import type { DiffID } from '#oci';
import type { DataPlace } from './image-tree.ts';

/** Contents of files, read at once and blocking: for worker threads. Tars are opened when first read and stay open until it is disposed. */
export class FileBytes implements Disposable {
  readonly #tarOf: (layer: DiffID) => string;
  readonly #open = new Map<DiffID, number>();

  constructor(tarOf: (layer: DiffID) => string) {
    this.#tarOf = tarOf;
  }

  [Symbol.dispose](): void {
    for (const fd of this.#open.values()) closeSync(fd);
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
    const fd = this.#open.get(layer) ?? this.#openTar(layer);
    for (let done = 0; done < target.length; ) {
      const length = readSync(fd, target, done, target.length - done, offset + done);
      if (length === 0) throw new EngineError('data-loss', `read layer ${layer}: its tar is too short`);
      done += length;
    }
  }

  #openTar(layer: DiffID): number {
    const fd = openSync(this.#tarOf(layer), 'r');
    this.#open.set(layer, fd);
    return fd;
  }
}
