export { type CacheExport, exportCaches, plannedCacheExports } from './exports.ts';
export { importCaches, parseCacheImports } from './imports.ts';
