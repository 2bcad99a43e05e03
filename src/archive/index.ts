/**
 * Tar: reading and writing, byte-exact names, PAX, GNU, sparse; compression sniffing. No paths, no sockets. Imports errdefs, streams.
 *
 * Three faces: {@link TarParser} (push: chunks in, callbacks out, for worker threads and indexes), {@link readTar} (pull: entries with
 * bodies), {@link packHeader} and {@link packTar} (writing, deterministic).
 */
export { clampTime, type TimeClamp } from './clamp-time.ts';
export {
  type Compression,
  createDecompressor,
  type DecompressOptions,
  type Decompressor,
  decompress,
  inflatedChunkBytes,
  inflateError,
  peek,
  sniffBytes,
  sniffCompression,
} from './compression.ts';
export { blockBytes, maxEntryBytes, maxExtensionBytes, maxSparseSegments } from './limits.ts';
export { byteString, bytesFromUtf8, bytesOf, utf8FromBytes } from './names.ts';
export { endOfArchive, type PackEntry, type PackMember, packHeader, packPadding, packTar } from './packer.ts';
export { padding, type TarHandler, TarParser, type TarParserOptions } from './parser.ts';
export { readTar, type TarItem } from './reader.ts';
export type { ByteString, SparseSegment, TarAttributes, TarEntry, TarEntryType, TarTime } from './types.ts';
