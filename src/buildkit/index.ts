/**
 * BuildKit's two doors, for clients that bring their own: buildx, and whoever uses it. `control` serves BuildKit's gRPC services on a connection, `session`
 * takes a connection on which the client serves (its files, secrets, credentials). Dockerfiles are built by `#builder`; graphs of BuildKit's own are not.
 * Loaded when the first such client comes. Imports errdefs, streams, log, grpc, oci, api-types, context-listing, dockerfile, builder and what exporters need.
 */
export { BuildKit } from './buildkit.ts';
export type { BuildFiles, BuildKitHost, BuildWish, ExportedFiles, PushWish } from './types.ts';
