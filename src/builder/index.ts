/**
 * Dockerfiles to images. `convert/` turns a parsed Dockerfile into a graph of operations, `solver/` walks any graph with a content-keyed cache and knows
 * nothing of Dockerfiles, `executor/` runs operations on snapshots. Imports errdefs, streams, files, concurrency, log, sys, oci, reference, archive,
 * dockerfile, content, mount, snapshots, metadata, image, transfer, diff, runtime, network.
 *
 * ```ts
 * const { id } = await buildImage(host, request); // builds over one store at the same time share steps
 * ```
 */
export { buildImage } from './build.ts';
export { checkOnly } from './check-only.ts';
export { contextName } from './convert/index.ts';
export { type SourceTree, type TreeNode, Views, walkTree } from './executor/index.ts';
export { FileLists } from './file-lists.ts';
export { isOwnLanguage } from './frontend.ts';
export type * from './handed-over.ts';
export { ImagesInUse } from './images-in-use.ts';
export { ContextMemory } from './listed/index.ts';
export { type Outline, type OutlineArgument, type OutlineHandedOver, outlineOf } from './outline.ts';
export { predictBuild } from './predict-build.ts';
export {
  type BuildStatus,
  contextVertex,
  definitionVertex,
  failureText,
  ignoreVertex,
  namedVertex,
  type OnStatus,
  type ShownVertex,
} from './progress/index.ts';
export { verifyRebuild } from './rebuild/index.ts';
export * from './types.ts';
