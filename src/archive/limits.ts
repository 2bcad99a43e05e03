/** What a tar may ask of us before it is refused, each with its reason. */

export const blockBytes = 512;

/** One PAX header, GNU long name or long link: names and attributes live in memory at once. As Go's archive/tar, which Docker uses. */
export const maxExtensionBytes = 1 << 20;

/** Segments of one sparse file, kept as objects in memory. */
export const maxSparseSegments = 1 << 18;

/** Offsets are plain numbers: everything up to here is exact. */
export const maxEntryBytes = Number.MAX_SAFE_INTEGER;
