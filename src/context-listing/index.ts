/**
 * A build context as a listing: one line per file with all that a tar header would say of it, and a stamp that changes when the file does. Contents
 * come by themselves, those that are asked for. docs/build-protocol.md describes both. No files, no sockets. Imports errdefs, streams, archive.
 */
export { checkedEntry, decodeEntry, decodeListing } from './decode.ts';
export { encodeEntry, encodeListing } from './encode.ts';
export { type FileSink, fileEnd, fileEndBytes, fileHead, fileHeadBytes, readFiles } from './file-stream.ts';
export { contextListingVersion, maxListingBytes } from './limits.ts';
export { decodeRanges, rangesOf } from './ranges.ts';
export type { ListedEntry, ListedFile, Listing, ListingHeader } from './types.ts';
