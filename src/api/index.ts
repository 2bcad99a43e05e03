/**
 * The Docker Engine API (1.51, from 1.24 on) over an `Engine`. Translates and holds no decisions: one file per resource in `routes/`, one table of error statuses,
 * one table of what the engine does not honour yet. Imports errdefs, streams, log, api-types, http, oci, reference.
 */
export { httpStatus } from './http-status.ts';
export { type ApiOptions, apiServer } from './server.ts';
export { defaultVersion, isVersionServed, minimumVersion, newestVersion } from './versions/index.ts';
