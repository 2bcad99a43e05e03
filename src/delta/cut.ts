/** A cut is looked for from here on: where layers are alike, cuts that are too near would only cost room. */
export const minChunkBytes = 4 << 10;
export const maxChunkBytes = 64 << 10;
/** One place in 2^13 is a cut: chunks have about 12 KiB. */
const mask = 0xfff8_0000 | 0;
/** The rolling sum forgets a byte after so many. */
const windowBytes = 32;

/** Numbers without a pattern, the same in every process. */
const gear = Int32Array.from({ length: 256 }, (_, byte) => {
  let mixed = Math.imul(byte + 1, 0x9e3779b1);
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
});

/**
 * Where the chunk that begins at `start` ends, by what is in it: after an insertion elsewhere the same bytes are cut at the same places (a gear hash). At
 * most at `end`.
 */
export function cutAfter(bytes: Buffer, start: number, end: number): number {
  const limit = Math.min(end, start + maxChunkBytes);
  let at = start + minChunkBytes - windowBytes;
  let sum = 0;
  for (; at < limit; at++) {
    sum = ((sum << 1) + gear[bytes[at]!]!) | 0;
    if ((sum & mask) === 0 && at >= start + minChunkBytes) return at + 1;
  }
  return limit;
}
