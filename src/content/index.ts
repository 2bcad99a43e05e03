/**
 * The content store: blobs by digest under `content/blobs/<alg>/<hex>`, verified and resumable writers.
 * Knows nothing of images, layers or SQLite; imports errdefs, streams, files, concurrency, oci.
 */
export { type FileContentStore, openContentStore } from './store.ts';
export * from './types.ts';
