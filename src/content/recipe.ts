import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { EngineError, isErrno } from '#errdefs';
import { type Digest, digestHex } from '#oci';

/** Bytes of a blob that its own file does not hold. */
export interface Segment {
  readonly offset: number;
  readonly lengthBytes: number;
  /** Another blob that has them, at `sourceOffset`; undefined: the recipe itself does, at `sourceOffset` of its literals. */
  readonly source: Digest | undefined;
  readonly sourceOffset: number;
}

/** Where a run of a blob's bytes is: in its own file where `segment` is undefined. */
export interface Piece {
  readonly offset: number;
  readonly lengthBytes: number;
  readonly segment: Segment | undefined;
}

/**
 * How a blob is read whose file has holes: which of its bytes other blobs hold, in their own files, and which few are in the recipe itself. All others
 * are in the blob's file where they would be without it. Segments are ordered and do not overlap.
 */
export class Recipe {
  readonly segments: readonly Segment[];
  readonly literals: Buffer;

  constructor(segments: readonly Segment[], literals: Buffer) {
    this.segments = segments;
    this.literals = literals;
  }

  get sources(): readonly Digest[] {
    return [...new Set(this.segments.flatMap(({ source }) => source ?? []))];
  }

  /** The segment that holds the byte at `offset`. */
  at(offset: number): Segment | undefined {
    const found = this.segments[this.#upTo(offset)];
    return found && offset < found.offset + found.lengthBytes ? found : undefined;
  }

  *pieces(offset: number, end: number): Generator<Piece> {
    for (let at = offset, next = Math.max(0, this.#upTo(offset)); at < end; ) {
      const segment = this.segments[next];
      if (segment && segment.offset + segment.lengthBytes <= at) {
        next++;
        continue;
      }
      const isInside = segment !== undefined && segment.offset <= at;
      const stop = Math.min(end, isInside ? segment.offset + segment.lengthBytes : (segment?.offset ?? end));
      yield { offset: at, lengthBytes: stop - at, segment: isInside ? segment : undefined };
      at = stop;
    }
  }

  /** The last segment that begins at or before `offset`; -1 for none. */
  #upTo(offset: number): number {
    let [low, high] = [0, this.segments.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.segments[middle]!.offset <= offset) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }
}

/** Beside the blobs' folder, so that who has the path of one finds it: `recipes/<alg>/<hex>`. */
export function recipePath(blobPath: string): string {
  const folder = dirname(blobPath);
  return join(dirname(dirname(folder)), 'recipes', basename(folder), basename(blobPath));
}

/** The file of another blob of the same store. */
export function siblingBlob(blobPath: string, digest: Digest): string {
  return join(dirname(dirname(blobPath)), digest.slice(0, digest.indexOf(':')), digestHex(digest));
}

/** A layer of eight million files, with headers that say little. */
const maxRecipeBytes = 2 ** 31;

interface Written {
  readonly version: 1;
  readonly sources: readonly Digest[];
  /** For each segment: bytes since the last one's end, length, number of the source or -1, offset there. */
  readonly segments: readonly number[];
}

export function encodeRecipe({ segments, literals, sources }: Recipe): Buffer {
  const numbers = new Map(sources.map((source, number) => [source, number]));
  let end = 0;
  const rows = segments.flatMap(({ offset, lengthBytes, source, sourceOffset }) => {
    const gap = offset - end;
    end = offset + lengthBytes;
    return [gap, lengthBytes, source === undefined ? -1 : numbers.get(source)!, sourceOffset];
  });
  const written: Written = { version: 1, sources, segments: rows };
  const params = { [constants.ZSTD_c_checksumFlag]: 1 };
  return zstdCompressSync(Buffer.concat([Buffer.from(`${JSON.stringify(written)}\n`), literals]), { params });
}

/** Undefined where the blob has none. Blocking. @throws `data-loss` for one that cannot be read. */
export function readRecipe(blobPath: string): Recipe | undefined {
  let bytes: Buffer;
  try {
    bytes = readFileSync(recipePath(blobPath));
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
  return decodeRecipe(bytes, basename(blobPath));
}

/** The recipe of a blob as it is kept; undefined where it has none. */
export async function readRecipeFile(blobPath: string): Promise<Buffer | undefined> {
  try {
    return await readFile(recipePath(blobPath));
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}

export function sourcesOfRecipe(bytes: Buffer): readonly Digest[] {
  return decodeRecipe(bytes, 'with sources').sources;
}

export function decodeRecipe(bytes: Buffer, name: string): Recipe {
  try {
    const whole = zstdDecompressSync(bytes, { maxOutputLength: maxRecipeBytes });
    const line = whole.indexOf(10);
    const { version, sources, segments: rows } = JSON.parse(whole.subarray(0, line).toString()) as Written;
    if (version !== 1) throw new Error(`its version is ${version}`);
    const segments: Segment[] = [];
    let end = 0;
    for (let at = 0; at < rows.length; at += 4) {
      const [gap, lengthBytes, source, sourceOffset] = rows.slice(at, at + 4) as [number, number, number, number];
      segments.push({ offset: end + gap, lengthBytes, source: sources[source], sourceOffset });
      end += gap + lengthBytes;
    }
    return new Recipe(segments, whole.subarray(line + 1));
  } catch (error) {
    throw new EngineError('data-loss', `read blob ${name}: its recipe is damaged`, { cause: error });
  }
}
