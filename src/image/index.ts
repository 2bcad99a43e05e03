/**
 * Immutable views over images in the content store: resolve a target to a platform's manifest, read configs, assemble new images from
 * layers and a config. Imports errdefs, streams, oci, reference, content.
 */
export {
  assembleImage,
  createdMsOf,
  describeImage,
  manifestOf,
  type NewImageParts,
} from './assemble.ts';
export {
  type Attestation,
  attestationBlobs,
  attestedManifest,
  maxAttestationBytes,
  presentAttestations,
} from './attestations.ts';
export { maxConfigBytes, readConfig, readDocument, readKnownConfig, readTarget } from './documents.ts';
export { type IndexEntry, indexEntries } from './entries.ts';
export { chooseMember, indexesOf, type PlatformImage, targetOfName } from './members.ts';
export {
  type ImageSource,
  platformOf,
  presentManifests,
  requireLinux,
  requireSameLength,
  resolveTarget,
} from './resolve.ts';
export * from './types.ts';
