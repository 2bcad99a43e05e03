/** Mounts as values: overlay stacks, EROFS layers; the mount table. Imports errdefs, concurrency, sys, log. */
export { type CloneOptions, mountClone } from './clone.ts';
export { CountedMounts } from './counted.ts';
export { makeDisk, mountDisk } from './disk.ts';
export { mountErofs } from './erofs.ts';
export { fuseAttributePrefix, mountFuseOverlay } from './fuse-overlay.ts';
export { makeMountPoint, mountCloneMapped, mountMapped, mountMappedOverlay } from './id-mapped.ts';
export { mountOverlay, overlayDepthLimit } from './overlay.ts';
export { mountsBelow, parseMountInfo, readMountTable } from './table.ts';
export * from './types.ts';
export { unmount, unmountBelow } from './unmount.ts';
