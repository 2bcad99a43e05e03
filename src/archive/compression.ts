import type { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { EngineError } from '#errdefs';
import type { ByteSource } from '#streams';

export type Compression = 'none' | 'gzip' | 'zstd' | 'bzip2' | 'xz';

/** Enough of a stream's start to know what it is. */
export const sniffBytes = 6;

const magics: readonly (readonly [Compression, readonly number[]])[] = [
  ['gzip', [0x1f, 0x8b, 0x08]],
  ['zstd', [0x28, 0xb5, 0x2f, 0xfd]],
  ['bzip2', [0x42, 0x5a, 0x68]],
  ['xz', [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
];

/** What a stream that starts with these bytes is compressed with, by magic number alone. */
export function sniffCompression(start: Uint8Array): Compression {
  for (const [compression, magic] of magics) {
    if (start.byteLength >= magic.length && magic.every((byte, i) => start[i] === byte)) return compression;
  }
  // RFC 8878 §3.1.2: a zstd stream may open with a skippable frame, 0x184D2A50 to 0x184D2A5F.
  const isSkippable = start.byteLength >= 4 && (start[0]! & 0xf0) === 0x50 && start[1] === 0x2a;
  return isSkippable && start[2] === 0x4d && start[3] === 0x18 ? 'zstd' : 'none';
}

/** Node's default of 16 KiB costs a third more CPU. */
export const inflatedChunkBytes = 1 << 20;

/** A Node transform that inflates gzip (all members) or zstd (all frames). */
export function createDecompressor(compression: 'gzip' | 'zstd'): Transform {
  const options = { chunkSize: inflatedChunkBytes };
  return compression === 'gzip' ? createGunzip(options) : createZstdDecompress(options);
}

export type Decompressor = (source: ByteSource) => ByteSource;

export interface DecompressOptions {
  /** What to do about bzip2 and xz, which Node does not have. Without them: `not-implemented`. */
  readonly external?: Readonly<Partial<Record<'bzip2' | 'xz', Decompressor>>>;
  /** The source lends its chunks, each until the next is asked for. So does then what comes out. */
  readonly lent?: boolean;
}

/**
 * Inflates a stream by what it is, told from its first bytes; plain bytes pass through.
 * @throws `invalid-argument` for a broken or truncated stream; `not-implemented` for bzip2 and xz without a decompressor.
 */
export async function* decompress(source: ByteSource, options: DecompressOptions = {}): AsyncGenerator<Uint8Array> {
  const { start, rest: plain } = await peek(source, sniffBytes);
  const compression = sniffCompression(start);
  // A decompressor reads ahead: what is lent it cannot keep.
  const rest = options.lent && compression !== 'none' ? copies(plain) : plain;
  if (compression === 'none') yield* rest;
  else if (compression === 'gzip' || compression === 'zstd') yield* inflate(rest, compression);
  else {
    const external = options.external?.[compression];
    if (!external) {
      for await (const _ of rest) break; // releases the source
      throw new EngineError('not-implemented', `decompress: ${compression} streams are not supported`);
    }
    yield* external(rest);
  }
}

async function* copies(source: ByteSource): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) yield new Uint8Array(chunk);
}

async function* inflate(source: ByteSource, compression: 'gzip' | 'zstd'): AsyncGenerator<Uint8Array> {
  const inflated = createDecompressor(compression);
  // Zlib may find its fault after the consumer has left, when nobody iterates any more: an error nobody listens to would end the process.
  inflated.on('error', () => {});
  const feeding = pipeline(source, inflated).catch(() => {});
  try {
    for await (const chunk of inflated) yield chunk as Buffer;
    await feeding;
  } catch (error) {
    throw inflateError(error, compression);
  } finally {
    inflated.destroy();
  }
}

/** Zlib's errors as ours; others pass. */
export function inflateError(error: unknown, compression: Compression): unknown {
  const code = error instanceof Error ? String((error as NodeJS.ErrnoException).code) : '';
  if (!/^(Z_|ZSTD_|ERR_ZLIB|ERR_ZSTD)/.test(code)) return error;
  const fact = code === 'Z_BUF_ERROR' ? 'unexpected EOF' : (error as Error).message.toLowerCase();
  return new EngineError('invalid-argument', `decompress: ${compression}: ${fact}`, { cause: error });
}

/** The first bytes of a source (fewer when it is shorter), and the source whole again. The source may lend its chunks. */
export async function peek(
  source: ByteSource,
  sizeBytes: number,
): Promise<{ start: Buffer; rest: AsyncGenerator<Uint8Array> }> {
  const chunks = source[Symbol.asyncIterator]();
  const held: Uint8Array[] = [];
  let heldBytes = 0;
  while (heldBytes < sizeBytes) {
    const { value, done } = await chunks.next();
    if (done) break;
    heldBytes += value.byteLength;
    held.push(heldBytes < sizeBytes ? new Uint8Array(value) : value);
  }
  async function* whole(): AsyncGenerator<Uint8Array> {
    let finished = false;
    try {
      yield* held;
      for (let next = await chunks.next(); !next.done; next = await chunks.next()) yield next.value;
      finished = true;
    } finally {
      if (!finished) await chunks.return?.();
    }
  }
  return { start: Buffer.concat(held, Math.min(heldBytes, sizeBytes)), rest: whole() };
}
