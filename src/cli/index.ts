/**
 * The `wherry` command: Docker's names, flags, tables and progress bars over the `Engine` interface. Speaks to the daemon through client and never around it;
 * commands that need no daemon load what they need when they run. Imports errdefs, streams, files, concurrency, log, sys, api-types, reference, archive,
 * context-listing, dockerfile, http, client, registry-server.
 */
export { listFolder } from './build-context.ts';
export { runCli } from './main.ts';
