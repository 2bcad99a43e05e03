/** File systems share whole blocks of this size (or larger ones, which are multiples). */
export const diskBlockBytes = 4096;

/** Where in a block something begins: only what begins alike can be shared. */
export function phaseOf(offset: number): number {
  return offset % diskBlockBytes;
}

/** The whole blocks of a run of bytes. */
export function blocksWithin(
  offset: number,
  sizeBytes: number,
): { readonly offset: number; readonly lengthBytes: number } {
  const start = Math.ceil(offset / diskBlockBytes) * diskBlockBytes;
  const end = Math.floor((offset + sizeBytes) / diskBlockBytes) * diskBlockBytes;
  return { offset: start, lengthBytes: Math.max(0, end - start) };
}
