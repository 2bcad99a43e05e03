/**
 * EROFS index images over uncompressed tars: bytes only. Imports errdefs, archive.
 *
 * An index holds the names and attributes of a layer and points at file data in the tar, 512-byte block by block. The kernel mounts
 * it with the tar as device: `mount -t erofs -o device=<tar> <index>`, one `device=` per entry of the index's device table, in order.
 *
 * Writing: {@link LayerIndexer} takes the entries of a tar, {@link encodeIndex} makes the image; {@link buildIndex} does both for a file, {@link mergeIndexes} for a chain.
 * Reading: {@link IndexFile}, and {@link chainLookup} and {@link MergedTree} for the merged view of a chain.
 */
export {
  type BuildIndexOptions,
  type BuiltIndex,
  buildIndex,
  fileSource,
  type MergeIndexesOptions,
  mergeIndexes,
  readerSource,
  type WrittenIndex,
} from './build.ts';
export { chainLookup, type Place, type SourceOf } from './chain.ts';
export type { Dirent } from './dirents.ts';
export {
  type IndexDevice,
  IndexFile,
  type IndexInode,
  type IndexRun,
  isOpaque,
  isWhiteout,
  type WalkedInode,
} from './image.ts';
export { LayerIndexer, type LayerNeeds } from './indexer.ts';
export { type MergedNode, MergedTree, type NamedNode } from './merged-tree.ts';
export { type Relocation, relocateIndex } from './relocate.ts';
export type { DataReader, DataRun, DataSource, InodeAttributes, InodeType, LowerInode, LowerLookup } from './types.ts';
export { encodeIndex, type IndexContents, type IndexImage } from './writer.ts';
