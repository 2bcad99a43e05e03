import { StoredBlob } from '#content';
import { EngineError } from '#errdefs';
import { FileBorders } from './file-borders.ts';

/** A layer's file, of the size it has by its record. */
export interface LayerFile {
  readonly digest: string;
  readonly path: string;
  readonly sizeBytes: number;
}

/** Reads where it is asked to. Blocking. */
export class LayerReader implements Disposable {
  readonly file: LayerFile;
  readonly #blob: StoredBlob;

  constructor(file: LayerFile) {
    this.file = file;
    this.#blob = StoredBlob.open(file.path);
  }

  /** Fills `into` from `offset`. @throws `data-loss` when the file is shorter. */
  read(into: Buffer, offset: number): Buffer {
    if (this.#blob.read(into, offset) < into.length)
      throw new EngineError('data-loss', `read layer ${this.file.digest}: its file is too short`);
    return into;
  }

  [Symbol.dispose](): void {
    this.#blob[Symbol.dispose]();
  }
}

const windowBytes = 1 << 20;

/** A layer front to back through one buffer, with the borders of its files. */
export class LayerWindow {
  readonly #reader: LayerReader;
  readonly #buffer = Buffer.allocUnsafeSlow(windowBytes);
  readonly #borders = new FileBorders();
  #start = 0;
  #length = 0;

  constructor(reader: LayerReader) {
    this.#reader = reader;
  }

  get sizeBytes(): number {
    return this.#reader.file.sizeBytes;
  }

  /** Bytes from `offset` on: at least `wanted`, or all there are. Lent until the next call; offsets only grow. */
  from(offset: number, wanted: number): Buffer {
    const end = Math.min(this.sizeBytes, offset + wanted);
    if (end > this.#start + this.#length) this.#move(offset);
    return this.#buffer.subarray(offset - this.#start, this.#length);
  }

  borderAfter(offset: number): number {
    return this.#borders.after(offset);
  }

  #move(offset: number): void {
    const shownTo = this.#start + this.#length;
    this.#start = offset;
    this.#length = Math.min(windowBytes, this.sizeBytes - offset);
    this.#reader.read(this.#buffer.subarray(0, this.#length), offset);
    this.#borders.show(this.#buffer.subarray(shownTo - offset, this.#length));
  }
}
