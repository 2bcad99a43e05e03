/**
 * A registry server: distribution-spec v1.1 over node:http, on a folder of blobs and a database. Holds no engine state and
 * knows nothing of the engine's stores. Imports errdefs, streams, files, concurrency, log, oci, reference.
 *
 * ```ts
 * await using registry = await serveRegistry({ root: '/srv/registry', addr: '127.0.0.1:5000' });
 * ```
 */
export { type RegistryConfig, readConfig } from './config/config.ts';
export { setLog } from './log-settings.ts';
export { type RegistryServer, type RegistryServerOptions, serveRegistry } from './server.ts';
export type { BlobStore, Upload } from './store/blob-store.ts';
export type { MetaStore } from './store/meta-store.ts';
