import { mediaTypes } from './types.ts';

const layers: ReadonlySet<string> = new Set([
  mediaTypes.ociLayer,
  mediaTypes.ociLayerGzip,
  mediaTypes.ociLayerZstd,
  mediaTypes.dockerLayer,
  mediaTypes.dockerLayerGzip,
  'application/vnd.docker.image.rootfs.diff.tar.zstd',
]);

/** Layers whose bytes live elsewhere (`urls`) and are not pushed: Windows base layers. */
const foreignLayers: ReadonlySet<string> = new Set([
  mediaTypes.dockerForeignLayer,
  'application/vnd.docker.image.rootfs.foreign.diff.tar',
  'application/vnd.oci.image.layer.nondistributable.v1.tar',
  'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip',
  'application/vnd.oci.image.layer.nondistributable.v1.tar+zstd',
]);

/** Docker schema 1: recognised so that it can be refused by name. */
const schema1Manifests: ReadonlySet<string> = new Set([
  'application/vnd.docker.distribution.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v1+prettyjws',
]);

/** What a client says in `Accept` when it asks for a manifest. */
export const manifestMediaTypes: readonly string[] = [
  mediaTypes.ociIndex,
  mediaTypes.ociManifest,
  mediaTypes.dockerManifestList,
  mediaTypes.dockerManifest,
];

export function isIndex(mediaType: string): boolean {
  return mediaType === mediaTypes.ociIndex || mediaType === mediaTypes.dockerManifestList;
}

export function isManifest(mediaType: string): boolean {
  return mediaType === mediaTypes.ociManifest || mediaType === mediaTypes.dockerManifest;
}

export function isSchema1(mediaType: string): boolean {
  return schema1Manifests.has(mediaType);
}

export function isConfig(mediaType: string): boolean {
  return mediaType === mediaTypes.ociConfig || mediaType === mediaTypes.dockerConfig;
}

/** A file system layer, foreign ones included. */
export function isLayer(mediaType: string): boolean {
  return layers.has(mediaType) || foreignLayers.has(mediaType);
}

export function isForeignLayer(mediaType: string): boolean {
  return foreignLayers.has(mediaType);
}

/** The family of a manifest, so that a rewritten one keeps it. */
export function isDockerMediaType(mediaType: string): boolean {
  return mediaType.startsWith('application/vnd.docker.');
}
