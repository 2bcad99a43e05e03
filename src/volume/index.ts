/**
 * Named local volumes under `volumes/<name>/_data`: made, found, filled from an image, measured, removed. Rows are kept in a table the caller gives; who uses
 * a volume is the caller's to know. Imports errdefs, files, concurrency, log, sys.
 */
export { checkVolumeName } from './names.ts';
export * from './types.ts';
export { openVolumes } from './volumes.ts';
