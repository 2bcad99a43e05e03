import { crc32 } from 'node:zlib';
import { EngineError } from '#errdefs';
import type { LayerFile } from './layer-reader.ts';
import { LayerReader } from './layer-reader.ts';
import { decodePiece } from './piece.ts';

const partBytes = 1 << 20;

/** What a piece makes. */
export interface PatchedRun {
  readonly offset: number;
  /** In parts of at most a MiB. */
  readonly parts: readonly Buffer[];
}

/** Base layers that pieces copy from, opened when one does; those that are not here have no path. Blocking. */
export class PatchBases implements Disposable {
  readonly #files: readonly (Omit<LayerFile, 'path'> & { readonly path: string | undefined })[];
  readonly #open = new Map<number, LayerReader>();

  constructor(files: readonly (Omit<LayerFile, 'path'> & { readonly path: string | undefined })[]) {
    this.#files = files;
  }

  get sizes(): readonly number[] {
    return this.#files.map(({ sizeBytes }) => sizeBytes);
  }

  /** @throws `not-found` for a base that is not here. */
  reader(base: number): LayerReader {
    const known = this.#open.get(base);
    if (known) return known;
    const { digest, path, sizeBytes } = this.#files[base]!;
    if (path === undefined)
      throw new EngineError('not-found', `base layer ${digest}, which it copies from, is not here`);
    const reader = new LayerReader({ digest, path, sizeBytes });
    this.#open.set(base, reader);
    return reader;
  }

  [Symbol.dispose](): void {
    for (const reader of this.#open.values()) reader[Symbol.dispose]();
    this.#open.clear();
  }
}

/** @throws `invalid-argument` for what is no piece, `data-loss` when the bytes come out other than they were. */
export function applyPiece(bytes: Uint8Array, bases: PatchBases): PatchedRun {
  const piece = decodePiece(bytes, bases.sizes);
  const parts: Buffer[] = [];
  const copied = new Set<string>();
  let sum = 0;
  const take = (part: Buffer) => {
    sum = crc32(part, sum);
    parts.push(part);
  };
  let part = Buffer.allocUnsafeSlow(Math.min(partBytes, piece.outputBytes));
  let filled = 0;
  let left = piece.outputBytes;
  const room = (wanted: number) => Math.min(wanted, part.length - filled);
  const advance = (length: number) => {
    filled += length;
    left -= length;
    if (filled < part.length) return;
    take(part);
    part = Buffer.allocUnsafeSlow(Math.min(partBytes, left));
    filled = 0;
  };
  for (const op of piece.ops) {
    const length = op.kind === 'data' ? op.bytes.length : op.lengthBytes;
    for (let done = 0; done < length; ) {
      const target = part.subarray(filled, filled + room(length - done));
      if (op.kind === 'data') op.bytes.copy(target, 0, done, done + target.length);
      else {
        const reader = bases.reader(op.base);
        reader.read(target, op.offset + done);
        copied.add(reader.file.digest);
      }
      done += target.length;
      advance(target.length);
    }
  }
  if (sum !== piece.crc32) throw wrongBytes(piece.offset, piece.outputBytes, copied);
  return { offset: piece.offset, parts };
}

function wrongBytes(offset: number, lengthBytes: number, copied: ReadonlySet<string>): EngineError {
  const from = copied.size === 0 ? '' : `; it copies from ${[...copied].join(', ')}: is that damaged?`;
  return new EngineError('data-loss', `its ${lengthBytes} bytes at ${offset} come out wrong${from}`);
}
