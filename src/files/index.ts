/** Durable writes and safe paths on local disks. Imports errdefs. */
export { diskUsage, entryUsage, type SeenFiles } from './disk-usage.ts';
export { fsyncFolder, readBounded, removeIfPresent, writeAtomic } from './durable.ts';
export { removeFolder } from './remove-folder.ts';
export { resolveInRoot } from './resolve-in-root.ts';
export { isNoSpace, type MakeRoom, withRoom } from './room.ts';
