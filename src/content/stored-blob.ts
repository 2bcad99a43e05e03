import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { EngineError } from '#errdefs';
import type { Digest } from '#oci';
import { type Piece, type Recipe, readRecipe, siblingBlob } from './recipe.ts';

/** Bytes in a file. */
export interface FileRange {
  readonly fd: number;
  readonly offset: number;
  readonly lengthBytes: number;
}

/**
 * A blob for reading where one asks, blocking: the one way to a blob's bytes for those who have its path, in worker threads. What its file does not hold
 * itself is read where its recipe says. Whatever happens to the store meanwhile, it goes on reading the same bytes.
 */
export class StoredBlob implements Disposable {
  readonly sizeBytes: number;
  readonly recipe: Recipe | undefined;
  readonly #path: string;
  readonly #fd: number;
  readonly #sources: ReadonlyMap<Digest, number>;

  private constructor(path: string, fd: number, recipe: Recipe | undefined, sources: ReadonlyMap<Digest, number>) {
    this.#path = path;
    this.#fd = fd;
    this.recipe = recipe;
    this.#sources = sources;
    this.sizeBytes = fstatSync(fd).size;
  }

  /** @throws as `open` of the file does: ENOENT, when it or a blob it needs is missing. */
  static open(path: string): StoredBlob {
    for (;;) {
      using resources = new DisposableStack();
      const open = (file: string) => resources.adopt(openSync(file, 'r'), closeSync);
      const fd = open(path);
      const recipe = readRecipe(path);
      // A file goes with the recipe it was opened before, unless both were replaced in between.
      if (fstatSync(fd).ino !== statSync(path).ino) continue;
      const sources = new Map(recipe?.sources.map((source) => [source, open(siblingBlob(path, source))] as const));
      const blob = new StoredBlob(path, fd, recipe, sources);
      resources.move();
      return blob;
    }
  }

  /** As much of `target` as there is from `offset` on; answers how much that is. */
  read(target: Buffer, offset: number): number {
    const end = Math.min(this.sizeBytes, offset + target.length);
    for (const piece of this.#pieces(offset, end)) this.#readPiece(piece, target, piece.offset - offset);
    return Math.max(0, end - offset);
  }

  /** @throws `data-loss` when it is shorter. */
  readFully(target: Buffer, offset: number): void {
    const read = this.read(target, offset);
    if (read < target.length)
      throw new EngineError(
        'data-loss',
        `read blob ${this.#path}: it ends at ${offset + read}, want ${offset + target.length}`,
      );
  }

  /** Hands a run of bytes on in order, as parts of files where they are in one. */
  copy(offset: number, lengthBytes: number, take: (part: FileRange | Buffer, offset: number) => void): void {
    for (const piece of this.#pieces(offset, offset + lengthBytes)) {
      const { segment } = piece;
      const done = piece.offset - offset;
      if (segment && segment.source === undefined) take(this.#literal(piece), done);
      else take({ fd: this.#fileOf(piece), offset: offsetIn(piece), lengthBytes: piece.lengthBytes }, done);
    }
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
    for (const fd of this.#sources.values()) closeSync(fd);
  }

  #pieces(offset: number, end: number): Iterable<Piece> {
    if (this.recipe) return this.recipe.pieces(offset, end);
    return end > offset ? [{ offset, lengthBytes: end - offset, segment: undefined }] : [];
  }

  #readPiece(piece: Piece, target: Buffer, at: number): void {
    if (piece.segment && piece.segment.source === undefined) {
      this.#literal(piece).copy(target, at);
      return;
    }
    const fd = this.#fileOf(piece);
    const from = offsetIn(piece);
    for (let done = 0; done < piece.lengthBytes; ) {
      const length = readSync(fd, target, at + done, piece.lengthBytes - done, from + done);
      if (length === 0) throw new EngineError('data-loss', `read blob ${this.#path}: a file it needs is too short`);
      done += length;
    }
  }

  #fileOf({ segment }: Piece): number {
    return segment?.source === undefined ? this.#fd : this.#sources.get(segment.source)!;
  }

  #literal(piece: Piece): Buffer {
    const from = offsetIn(piece);
    return this.recipe!.literals.subarray(from, from + piece.lengthBytes);
  }
}

/** Where a piece begins in what holds it. */
export function offsetIn({ offset, segment }: Piece): number {
  return segment ? segment.sourceOffset + offset - segment.offset : offset;
}
