/**
 * Images file by file: lists, contents. Reads the indexes and tars of layers; nothing is mounted, unpacked or run.
 * Imports errdefs, streams, concurrency, oci, archive, erofs, api-types, content, snapshots.
 */
export { describeFile } from './describe.ts';
export { ImageTree, type ImageTreeOptions, openImageTree } from './image-tree.ts';
export { listFiles } from './list.ts';
export { readFileOf } from './read.ts';
