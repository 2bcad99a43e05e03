import { EngineError } from '#errdefs';
import { blockBytes, maxSparseSegments } from './limits.ts';
import { parseNumber } from './numbers.ts';
import { decimal, type PaxRecord } from './pax.ts';
import type { SparseSegment } from './types.ts';

/** A file's offset and length pairs, flat, as every sparse format writes them. */
export type SparsePairs = number[];

function invalid(fact: string): EngineError {
  return new EngineError('invalid-argument', `archive/tar: invalid tar header: sparse file: ${fact}`);
}

/** Old GNU: up to `count` pairs of 12-byte numbers from `offset`; an empty pair ends them. */
export function readGnuPairs(block: Buffer, offset: number, count: number, pairs: SparsePairs): void {
  for (let i = 0; i < count; i++) {
    const at = offset + i * 24;
    if (block[at] === 0) return;
    pairs.push(parseNumber(block, at, 12, 'sparse offset'), parseNumber(block, at + 12, 12, 'sparse length'));
  }
  if (pairs.length / 2 > maxSparseSegments) throw invalid('too many segments');
}

/** PAX 0.0 (repeated GNU.sparse.offset and .numbytes) and 0.1 (GNU.sparse.map). Undefined when the records hold no map. */
export function paxPairs(records: readonly PaxRecord[]): SparsePairs | undefined {
  const map = records.findLast((record) => record.key === 'GNU.sparse.map');
  if (map) return map.value === '' ? [] : checkedPairs(map.value.split(','));
  const parts = records.filter(({ key }) => key === 'GNU.sparse.offset' || key === 'GNU.sparse.numbytes');
  parts.forEach(({ key }, i) => {
    if ((key === 'GNU.sparse.offset') !== (i % 2 === 0)) throw invalid('offsets and lengths out of turn');
  });
  if (parts.length === 0) return records.some(({ key }) => key === 'GNU.sparse.numblocks') ? [] : undefined;
  return checkedPairs(parts.map(({ value }) => value));
}

function checkedPairs(texts: readonly string[]): SparsePairs {
  if (texts.length % 2 !== 0) throw invalid('a segment without length');
  if (texts.length / 2 > maxSparseSegments) throw invalid('too many segments');
  const pairs = texts.map(decimal);
  if (pairs.some(Number.isNaN)) throw invalid('the map holds something that is no number');
  return pairs;
}

/**
 * PAX 1.0: the map opens the stored data, as lines of decimal numbers (count, then pairs), padded to whole blocks. `feed` takes one
 * block at a time and answers the pairs once they are complete.
 */
export class PaxMapReader {
  readonly #pairs: SparsePairs = [];
  #count: number | undefined;
  #value = 0;
  #digits = 0;

  feed(block: Buffer, offset: number): SparsePairs | undefined {
    for (let i = offset; i < offset + blockBytes; i++) {
      const byte = block[i]!;
      if (byte === 0x0a && this.#digits > 0) {
        if (this.#take()) return this.#pairs;
      } else if (byte >= 0x30 && byte <= 0x39 && this.#digits < 16) {
        this.#value = this.#value * 10 + byte - 0x30;
        this.#digits++;
      } else throw invalid('the map holds something that is no number');
    }
    return undefined;
  }

  #take(): boolean {
    if (this.#count === undefined) {
      if (this.#value > maxSparseSegments) throw invalid('too many segments');
      this.#count = this.#value;
    } else this.#pairs.push(this.#value);
    this.#value = 0;
    this.#digits = 0;
    return this.#pairs.length === this.#count * 2;
  }
}

/** Pairs into segments: ordered, disjoint, within the file, and filling the stored bytes exactly. */
export function sparseSegments(pairs: SparsePairs, sizeBytes: number, storedBytes: number): readonly SparseSegment[] {
  const segments: SparseSegment[] = [];
  let fileEnd = 0;
  let storedOffset = 0;
  for (let i = 0; i < pairs.length; i += 2) {
    const offset = pairs[i]!;
    const lengthBytes = pairs[i + 1]!;
    if (offset < fileEnd || lengthBytes < 0 || !(offset + lengthBytes <= sizeBytes))
      throw invalid('segments overlap or leave the file');
    if (lengthBytes > 0) segments.push({ offset, lengthBytes, storedOffset });
    fileEnd = offset + lengthBytes;
    storedOffset += lengthBytes;
  }
  if (storedOffset !== storedBytes) throw invalid(`segments hold ${storedOffset} bytes, the entry ${storedBytes}`);
  return segments;
}
