/**
 * Snapshot drivers: stacks of read-only layers with a writable one on top. One interface, one conformance suite.
 *
 * A driver is given layers as uncompressed tars that the content store holds under their diffID; what it derives from them
 * (EROFS indexes, unpacked trees) is its own matter and can be made again from the tar. Imports errdefs, streams, files, concurrency, sys,
 * log, oci, archive, erofs, content, mount.
 */
export { type ChosenDriver, chooseDriver } from './choose.ts';
export { openBtrfs, openErofs, openFuseOverlay, openOverlay2, openVfs, openZfs } from './drivers.ts';
export { layerIndexPath, layerTag } from './layer-index.ts';
export { probeMapped } from './probe.ts';
export { relocateByRecipes } from './relocate-index.ts';
export * from './types.ts';
