/**
 * Images file by file: lists, contents, comparisons, what became of each byte. Reads the indexes and tars of layers; nothing is mounted, unpacked or run.
 * Imports errdefs, streams, concurrency, oci, archive, erofs, api-types, content, snapshots.
 */
export type { LayerBlame } from './blame.ts';
export { compareImageConfigs } from './compare-configs.ts';
export { describeFile } from './describe.ts';
export type { FoundUsage, UsageLayer } from './duplicates.ts';
export { ImageTree, type ImageTreeOptions, openImageTree } from './image-tree.ts';
export type { HeavyLayer, LightLayer } from './lighten.ts';
export { listFiles } from './list.ts';
export type { FilesJob, TreeSource } from './protocol.ts';
export { readFileOf } from './read.ts';
export { canShare, keepShared, type SharedLayer, sharedBefore } from './share.ts';
export { walkInThread } from './walk.ts';
