import { type Descriptor, isDockerMediaType, type Manifest, mediaTypes } from '#oci';

export interface PushedManifest {
  readonly mediaType: string;
  readonly bytes: Buffer;
  /** A manifest that came from elsewhere could not stay as it was. */
  readonly isChanged: boolean;
}

const ociLayers: Readonly<Record<string, string>> = {
  [mediaTypes.dockerLayerGzip]: mediaTypes.ociLayerGzip,
  [mediaTypes.dockerLayer]: mediaTypes.ociLayer,
  'application/vnd.docker.image.rootfs.diff.tar.zstd': mediaTypes.ociLayerZstd,
};
const dockerLayers: Readonly<Record<string, string>> = {
  [mediaTypes.ociLayerGzip]: mediaTypes.dockerLayerGzip,
  [mediaTypes.ociLayer]: mediaTypes.dockerLayer,
};

/**
 * The manifest over the layers as the registry has them. When they are the ones it names, its bytes stay and so does its digest. Else it is
 * written anew: one made here as Docker pushes it (schema 2), one from elsewhere in its own family with its annotations. The config, and with it the
 * image ID, never changes.
 */
export function manifestFor(
  original: { manifest: Manifest; mediaType: string; bytes: Buffer; isOriginal: boolean },
  layers: readonly Descriptor[],
): PushedManifest {
  const { manifest, mediaType, bytes, isOriginal } = original;
  const isKept = manifest.layers.every(({ digest }, position) => digest === layers[position]?.digest);
  if (isKept && (isOriginal || manifest.layers.length === 0)) return { mediaType, bytes, isChanged: false };
  const isDocker = isOriginal ? isDockerMediaType(mediaType) : layers.every(({ mediaType }) => isDockerKind(mediaType));
  const types = isDocker ? dockerLayers : ociLayers;
  const { annotations, subject, artifactType } = manifest;
  const written = {
    schemaVersion: 2,
    mediaType: isDocker ? mediaTypes.dockerManifest : mediaTypes.ociManifest,
    config: { ...pick(manifest.config), mediaType: isDocker ? mediaTypes.dockerConfig : mediaTypes.ociConfig },
    layers: layers.map((layer, position) => ({
      ...pick(layer),
      mediaType: types[layer.mediaType] ?? layer.mediaType,
      ...extras(manifest.layers[position]),
    })),
    ...(annotations && isOriginal ? { annotations } : {}),
    ...(subject ? { subject } : {}),
    ...(artifactType ? { artifactType } : {}),
  };
  return {
    mediaType: written.mediaType,
    bytes: Buffer.from(JSON.stringify(written)),
    isChanged: isOriginal,
  };
}

/** Schema 2 knows gzip only. */
function isDockerKind(mediaType: string): boolean {
  return Object.hasOwn(dockerLayers, mediaType) || (isDockerMediaType(mediaType) && !mediaType.endsWith('.zstd'));
}

/** Fields in one order, so that equal manifests are equal bytes. */
function pick({ mediaType, digest, size }: Descriptor): Descriptor {
  return { mediaType, digest, size };
}

function extras(original: Descriptor | undefined): Partial<Descriptor> {
  return {
    ...(original?.urls ? { urls: original.urls } : {}),
    ...(original?.annotations ? { annotations: original.annotations } : {}),
  };
}
