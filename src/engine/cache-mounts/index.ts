export { CacheMounts } from './cache-mounts.ts';
export { isCacheMountKey } from './table.ts';
