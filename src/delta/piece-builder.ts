import { crc32 } from 'node:zlib';
import type { LayerReader } from './layer-reader.ts';
import { type CopyOp, type DataOp, encodePiece, maxOutputBytes } from './piece.ts';

/** New bytes that close a piece, and steps that do. */
const fullDataBytes = 1 << 20;
const fullSteps = 50_000;

interface DataRange {
  readonly kind: 'data';
  readonly offset: number;
  readonly lengthBytes: number;
}

/** Gathers steps until they are worth a piece. New bytes are noted as ranges of the layer, and read when the piece is written. */
export class PieceBuilder {
  readonly #layer: LayerReader;
  #steps: (CopyOp | DataRange)[] = [];
  #offset = 0;
  #outputBytes = 0;
  #dataBytes = 0;
  #crc32 = 0;

  constructor(layer: LayerReader) {
    this.#layer = layer;
  }

  /** How much of the layer is described, be it in pieces that are written. */
  get end(): number {
    return this.#offset + this.#outputBytes;
  }

  get isEmpty(): boolean {
    return this.#outputBytes === 0;
  }

  isFullFor(bytes: number): boolean {
    return (
      this.#outputBytes + bytes > maxOutputBytes || this.#dataBytes >= fullDataBytes || this.#steps.length >= fullSteps
    );
  }

  /** The new bytes at the end: what a copy may still take over. */
  get dataAtEnd(): number {
    const last = this.#steps.at(-1);
    return last?.kind === 'data' ? last.lengthBytes : 0;
  }

  /** The next bytes of the layer are those of a base from `offset` on; `before` more that were added as new are as well. */
  copy(bytes: Buffer, base: number, offset: number, before = 0): void {
    if (before > 0) this.#takeBack(before);
    const [from, lengthBytes] = [offset - before, bytes.length + before];
    const last = this.#steps.at(-1);
    if (last?.kind === 'copy' && last.base === base && last.offset + last.lengthBytes === from)
      this.#steps[this.#steps.length - 1] = { ...last, lengthBytes: last.lengthBytes + lengthBytes };
    else this.#steps.push({ kind: 'copy', base, offset: from, lengthBytes });
    this.#advance(bytes);
  }

  add(bytes: Buffer): void {
    const last = this.#steps.at(-1);
    if (last?.kind === 'data')
      this.#steps[this.#steps.length - 1] = { ...last, lengthBytes: last.lengthBytes + bytes.length };
    else this.#steps.push({ kind: 'data', offset: this.end, lengthBytes: bytes.length });
    this.#dataBytes += bytes.length;
    this.#advance(bytes);
  }

  /** The piece so far; the next begins where it ends. */
  write(): Buffer {
    const ops = this.#steps.map((step): CopyOp | DataOp =>
      step.kind === 'copy'
        ? step
        : { kind: 'data', bytes: this.#layer.read(Buffer.allocUnsafe(step.lengthBytes), step.offset) },
    );
    const piece = encodePiece({ offset: this.#offset, outputBytes: this.#outputBytes, crc32: this.#crc32, ops });
    this.#offset = this.end;
    this.#steps = [];
    this.#outputBytes = 0;
    this.#dataBytes = 0;
    this.#crc32 = 0;
    return piece;
  }

  #takeBack(lengthBytes: number): void {
    const last = this.#steps.pop() as DataRange;
    if (last.lengthBytes > lengthBytes) this.#steps.push({ ...last, lengthBytes: last.lengthBytes - lengthBytes });
    this.#dataBytes -= lengthBytes;
  }

  #advance(bytes: Buffer): void {
    this.#crc32 = crc32(bytes, this.#crc32);
    this.#outputBytes += bytes.length;
  }
}
