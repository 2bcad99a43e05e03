/** Fixtures for tests; production code never imports this. */
export { requireRoot } from './require-root.ts';
export { scratchFolder } from './scratch.ts';
export { temporaryFolder } from './temporary-folder.ts';
