/**
 * Layers as streams. `ingestLayer` takes a layer's bytes (plain, gzip or zstd) from anywhere: hash, inflate, hash, index and write in a
 * worker thread, one pass. `compressLayer` is the way back out, to gzip or zstd. Imports errdefs, streams, files, concurrency, sys, oci, archive, erofs, content, snapshots.
 */
export {
  type CompressedBlob,
  CompressedLayer,
  type Compression,
  type CompressOptions,
  compressLayer,
} from './compressed-layer.ts';
export { createLayerIngester, type LayerIngesterOptions } from './ingester.ts';
export { parseCompression } from './parse-compression.ts';
export type { IngestLimits } from './protocol.ts';
export * from './types.ts';
