import type { Ingester } from '#content';
import { EngineError } from '#errdefs';
import {
  type Descriptor,
  type Digest,
  type ImageConfig,
  type Manifest,
  mediaTypes,
  normalisePlatform,
  parseConfig,
} from '#oci';
import { platformOf, requireSameLength } from './resolve.ts';
import type { ImageDescription, ImageView, StoredLayer } from './types.ts';

export interface NewImageParts {
  /** Raw bytes keep the digest they have; a value is serialised as it is. Its `rootfs.diff_ids` are the layers'. */
  readonly config: ImageConfig | Uint8Array;
  readonly layers: readonly StoredLayer[];
  /** The image it grew from. */
  readonly parent?: Digest;
  /** When it was made, if that is not what its config says. */
  readonly madeMs?: number;
}

/**
 * Writes a config and a manifest over layers that the store already holds uncompressed. The image's ID is the config's digest.
 * @throws `invalid-argument` when the config's layers are not the ones given.
 */
export async function assembleImage(content: Pick<Ingester, 'put'>, parts: NewImageParts): Promise<ImageDescription> {
  const bytes = configBytes(parts.config);
  const config = parseConfig(bytes);
  requireSameLayers(config, parts.layers);
  const id = (await content.put(bytes)).digest;
  const manifestBytes = Buffer.from(JSON.stringify(manifestOf(id, bytes.length, parts.layers)));
  const manifest: Descriptor = {
    mediaType: mediaTypes.ociManifest,
    digest: (await content.put(manifestBytes)).digest,
    size: manifestBytes.length,
  };
  const diffIDs = parts.layers.map((layer) => layer.diffID);
  return {
    id,
    target: manifest,
    manifest,
    platform: platformOf(config),
    diffIDs,
    sizeBytes: parts.layers.reduce((sum, layer) => sum + layer.sizeBytes, 0),
    createdMs: parts.madeMs ?? createdMsOf(config),
    ...(parts.madeMs === undefined ? {} : { isMadeHere: true }),
    ...(parts.parent === undefined ? {} : { parent: parts.parent }),
    labels: config.config?.Labels ?? {},
    references: [manifest.digest, id, ...new Set(diffIDs)],
  };
}

/** An image whose documents came from elsewhere: pulled, or loaded from a layout. `documents` are kept with it, its target's manifests say. */
export function describeImage(
  view: ImageView,
  facts: { readonly sizeBytes: number; readonly documents?: readonly Digest[]; readonly parent?: Digest },
): ImageDescription {
  const { target, manifestDescriptor, manifest, config, diffIDs } = view;
  return {
    id: manifest.config.digest,
    target,
    manifest: manifestDescriptor,
    // Of variants only an index tells reliably: what its entry says comes first.
    platform: manifestDescriptor.platform?.os ? normalisePlatform(manifestDescriptor.platform) : view.platform,
    diffIDs,
    sizeBytes: facts.sizeBytes,
    createdMs: createdMsOf(config),
    ...(facts.parent === undefined ? {} : { parent: facts.parent }),
    labels: config.config?.Labels ?? {},
    references: [
      ...new Set([
        target.digest,
        manifestDescriptor.digest,
        manifest.config.digest,
        ...(facts.documents ?? []),
        ...diffIDs,
      ]),
    ],
  };
}

/** The manifest of an image whose layers are kept uncompressed, as `docker save` writes it. */
export function manifestOf(config: Digest, configBytes: number, layers: readonly StoredLayer[]): Manifest {
  return {
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    config: { mediaType: mediaTypes.ociConfig, digest: config, size: configBytes },
    layers: layers.map((layer) => ({
      mediaType: mediaTypes.ociLayer,
      digest: layer.diffID,
      size: layer.sizeBytes,
    })),
  };
}

/** Milliseconds since the epoch; 0 when the config does not say, or not in RFC 3339. */
export function createdMsOf(config: ImageConfig): number {
  const createdMs = Date.parse(config.created ?? '');
  return Number.isNaN(createdMs) ? 0 : createdMs;
}

function configBytes(config: ImageConfig | Uint8Array): Buffer {
  return config instanceof Uint8Array
    ? Buffer.from(config.buffer, config.byteOffset, config.byteLength)
    : Buffer.from(JSON.stringify(config));
}

function requireSameLayers(config: ImageConfig, layers: readonly StoredLayer[]): void {
  const wanted = config.rootfs.diff_ids;
  requireSameLength(layers.length, wanted.length);
  for (const [index, { diffID }] of layers.entries()) {
    if (diffID !== wanted[index])
      throw new EngineError(
        'invalid-argument',
        `invalid diffID for layer ${index}: expected "${wanted[index]}", got "${diffID}"`,
      );
  }
}
