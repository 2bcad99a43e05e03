/**
 * System calls Node lacks, from the one native addon (`native/sys.c`). Imports errdefs.
 *
 * Every function throws a Node-style system error (`code: 'ENOENT'`, `errno`, `syscall`, `path`). Paths are strings
 * (UTF-8) or Buffers (any bytes). Calls are synchronous unless said otherwise: a syscall costs less than a hop through
 * the thread pool, and bulk work runs in workers. No function changes the calling process's namespaces, root or
 * working directory.
 */

export { helperPath, loadAddon, sys } from './addon.ts';
export { makeSpreadFolder } from './spread-folder.ts';
export * from './types.ts';
