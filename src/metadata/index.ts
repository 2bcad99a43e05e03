/**
 * What the engine knows, in SQLite (`wherry.db`, WAL, synchronous=FULL): images and their names, layers, blobs, leases, containers,
 * networks, volumes, build cache. One database thread writes (group commit, one transaction per call); reads are synchronous on the
 * caller's own connection. The collector, which deletes what nothing reaches, lives here. Imports errdefs, files, concurrency, log, oci,
 * reference, content, snapshots, sys.
 */
export { dataRootOwner, lockDataRoot } from './data-root-lock.ts';
export type { RecoverResult } from './recovery.ts';
export { type MetadataStore, type OpenMetadataOptions, openMetadata } from './store.ts';
export * from './types.ts';
