import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { EngineError } from '#errdefs';
import { pushSigned, pushVarint, VarintReader } from './varint.ts';

/** As it travels. */
export const maxPieceBytes = 4 << 20;
/** Inflated: a writer closes a piece long before. */
const maxPlainBytes = 4 << 20;
/** What one piece makes. */
export const maxOutputBytes = 16 << 20;
const level = 3;

export interface CopyOp {
  readonly kind: 'copy';
  /** Position in the header's bases. */
  readonly base: number;
  readonly offset: number;
  readonly lengthBytes: number;
}

export interface DataOp {
  readonly kind: 'data';
  readonly bytes: Buffer;
}

/** A run of a layer, as copies and data that follow each other. */
export interface Piece {
  /** Where in the layer it begins. */
  readonly offset: number;
  readonly outputBytes: number;
  /** Of the run: says which piece came out wrong; what the layer is, its own digest proves. */
  readonly crc32: number;
  readonly ops: readonly (CopyOp | DataOp)[];
}

export function encodePiece(piece: Piece): Buffer {
  const parts: Uint8Array[] = [];
  let numbers: number[] = [];
  pushVarint(numbers, piece.offset);
  pushVarint(numbers, piece.outputBytes);
  const crc = Buffer.alloc(4);
  crc.writeUInt32LE(piece.crc32);
  numbers.push(...crc);
  let expected = 0;
  for (const op of piece.ops) {
    if (op.kind === 'data') {
      pushVarint(numbers, 2 * op.bytes.length);
      parts.push(Buffer.from(numbers), op.bytes);
      numbers = [];
      continue;
    }
    pushVarint(numbers, 2 * op.lengthBytes + 1);
    pushVarint(numbers, op.base);
    pushSigned(numbers, op.offset - expected);
    expected = op.offset + op.lengthBytes;
  }
  parts.push(Buffer.from(numbers));
  return zstdCompressSync(Buffer.concat(parts), { params: { [constants.ZSTD_c_compressionLevel]: level } });
}

/** @throws `invalid-argument` for anything that no writer of ours makes. `baseSizes` bounds what may be copied. */
export function decodePiece(bytes: Uint8Array, baseSizes: readonly number[]): Piece {
  const reader = new VarintReader(inflate(bytes));
  const offset = reader.varint();
  const outputBytes = reader.varint();
  if (outputBytes > maxOutputBytes) throw malformed(`it would make ${outputBytes} bytes, of at most ${maxOutputBytes}`);
  const crc32 = reader.uint32();
  const ops: (CopyOp | DataOp)[] = [];
  let expected = 0;
  let made = 0;
  while (!reader.isAtEnd) {
    const head = reader.varint();
    const lengthBytes = Math.floor(head / 2);
    made += lengthBytes;
    if (lengthBytes === 0 || made > outputBytes) throw malformed('its steps make other than it says');
    if (head % 2 === 0) {
      ops.push({ kind: 'data', bytes: reader.bytes(lengthBytes) });
      continue;
    }
    const base = reader.varint();
    const from = expected + reader.signed();
    const size = baseSizes[base];
    if (size === undefined) throw malformed(`there is no base ${base}`);
    if (from < 0 || from + lengthBytes > size) throw malformed(`a copy reaches beyond base ${base}`);
    expected = from + lengthBytes;
    ops.push({ kind: 'copy', base, offset: from, lengthBytes });
  }
  if (made !== outputBytes) throw malformed('its steps make other than it says');
  return { offset, outputBytes, crc32, ops };
}

function inflate(bytes: Uint8Array): Buffer {
  try {
    return zstdDecompressSync(bytes, { maxOutputLength: maxPlainBytes });
  } catch (cause) {
    throw new EngineError('invalid-argument', 'malformed piece: it does not inflate', { cause });
  }
}

function malformed(fact: string): EngineError {
  return new EngineError('invalid-argument', `malformed piece: ${fact}`);
}
