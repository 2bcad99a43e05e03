/**
 * OCI image-spec v1.1 and Docker schema 2 documents: digests, descriptors, manifests, indexes, configs, platforms.
 * Bytes <-> values only; no paths, no sockets. Imports errdefs, sys.
 *
 * The parsers take hostile bytes: bounded, `invalid-argument` on anything that is not the document. The raw bytes stay with the caller.
 */
export { decodeRunConfig, maxConfigBytes, parseConfig } from './config.ts';
export { decodeDescriptor } from './descriptor.ts';
export {
  chainID,
  chainIDs,
  digestAlgorithm,
  digestHex,
  digestOf,
  isDigest,
  parseDiffID,
  parseDigest,
} from './digest.ts';
export { createDigester, type Digester, takesTwoAsOne, updateBoth } from './digester.ts';
export { maxManifestBytes, parseIndex, parseManifest, parseTarget, partsOf, type Target } from './manifest.ts';
export {
  isConfig,
  isDockerMediaType,
  isForeignLayer,
  isIndex,
  isLayer,
  isManifest,
  isSchema1,
  manifestMediaTypes,
} from './media-types.ts';
export { formatPlatform, hostPlatform, normalisePlatform, parsePlatform } from './platform.ts';
export { choosePlatform, compatiblePlatforms, isAttestation, platformRank } from './platform-choice.ts';
export * from './types.ts';
