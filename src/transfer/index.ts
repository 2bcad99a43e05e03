/**
 * Images on the move: pull, push, load, save, import. Each data path is a short list of named steps in one file. Imports errdefs, streams,
 * files, concurrency, log, oci, reference, archive, content, metadata, image, snapshots, registry, diff, delta.
 */
export { type DeltaBase, layersHere } from './delta-base.ts';
export { type Download, download } from './download.ts';
export { type ImportOptions, importImage } from './import.ts';
export { externalDecompressors } from './import-compression.ts';
export { type Layout, type LayoutBlob, type LayoutWish, layOut } from './layout.ts';
export { type LoadOptions, loadImages } from './load.ts';
export { type ManifestItem, parseManifestJson } from './load-manifest.ts';
export { followLinks, hardlinkTarget, memberName, symlinkTarget } from './load-names.ts';
export { progressBar, reportedBody } from './progress.ts';
export { type PullOptions, pullAllTags, pullImage } from './pull.ts';
export { type PushedImage, type PushOptions, pushAllTags, pushCopy, pushImage } from './push.ts';
export { type SaveOptions, saveImages } from './save.ts';
export { saveDelta } from './save-delta.ts';
export * from './types.ts';
