/** How many bytes two runs have in common from their start; equal halves are passed over at once. */
export function commonPrefix(a: Buffer, b: Buffer): number {
  let low = 0;
  let high = Math.min(a.length, b.length);
  while (low < high) {
    const middle = high - low <= 16 ? low + 1 : (low + high) >>> 1;
    if (a.subarray(low, middle).equals(b.subarray(low, middle))) low = middle;
    else if (middle === low + 1) return low;
    else high = middle;
  }
  return low;
}

/** The same from their ends. */
export function commonSuffix(a: Buffer, b: Buffer): number {
  const limit = Math.min(a.length, b.length);
  let count = 0;
  while (count < limit && a[a.length - 1 - count] === b[b.length - 1 - count]) count++;
  return count;
}
