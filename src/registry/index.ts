/**
 * Registry client: transport per host (TLS, auth challenge, retry with back-off, Range), manifests, blobs, tags, search.
 * distribution-spec v1.1, Docker token authentication. Imports errdefs, streams, files, concurrency, oci, reference.
 *
 * Credentials go to the registry named, and to the token server it names, never along a redirect to another host. Bodies are streams; only bounded
 * documents are held.
 */
export { createRegistryClient } from './client.ts';
export { type RegistryDiagnostic, RegistryError } from './errors.ts';
export { loginDomain } from './login.ts';
export { networkError } from './network-errors.ts';
export { type ParallelOptions, parallelRead } from './parallel-read.ts';
export type { OpenRange } from './read-ahead.ts';
export { type ResumeOptions, resumable } from './resumable.ts';
export * from './types.ts';
