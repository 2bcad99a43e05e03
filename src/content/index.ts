/**
 * The content store: blobs by digest under `content/blobs/<alg>/<hex>`, verified and resumable writers.
 * Knows nothing of images, layers or SQLite; imports errdefs, streams, files, concurrency, oci.
 */
export { hashFile } from './hashing.ts';
export {
  decodeRecipe,
  encodeRecipe,
  type Piece,
  Recipe,
  readRecipe,
  readRecipeFile,
  recipePath,
  type Segment,
  siblingBlob,
  sourcesOfRecipe,
} from './recipe.ts';
export { type FileContentStore, openContentStore } from './store.ts';
export { type FileRange, StoredBlob } from './stored-blob.ts';
export * from './types.ts';
