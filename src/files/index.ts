/** Durable writes, safe paths and well-placed folders on local disks. Imports errdefs and sys. */
export { fsyncFolder, readBounded, removeIfPresent, writeAtomic } from './durable.ts';
export { removeFolder } from './remove-folder.ts';
export { resolveInRoot } from './resolve-in-root.ts';
export { makeSpreadFolder } from './spread-folder.ts';
