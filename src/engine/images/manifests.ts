import type { ImageManifestSummary } from '#api-types';
import { type ImageSource, type IndexEntry, indexEntries, platformOf, readKnownConfig } from '#image';
import type { ImageRecord } from '#metadata';
import type { Descriptor, Platform } from '#oci';
import type { EngineContext } from '../context.ts';
import { identityField } from './identity.ts';
import { leadOf } from './platforms.ts';

/**
 * `Manifests` of `GET /images/json?manifests=1`: what the targets name, what is not here as well. Layers are kept once, uncompressed, and mounted as
 * they are: `Content` is the documents, `Unpacked` the layers.
 */
export async function manifestSummaries(
  ctx: EngineContext,
  targets: readonly Descriptor[],
  facts: ManifestFacts = { containers: containersByImage(ctx), identity: false },
): Promise<readonly ImageManifestSummary[]> {
  const found = new Map<string, ImageManifestSummary>();
  for (const target of targets)
    for (const entry of await indexEntries(ctx.content as ImageSource, target))
      if (!found.has(entry.descriptor.digest)) found.set(entry.descriptor.digest, await summary(ctx, entry, facts));
  return [...found.values()];
}

/** What is found out once for a whole list. */
export interface ManifestFacts {
  readonly containers: ContainersByImage;
  /** Tell where each is from. */
  readonly identity: boolean;
}

/** IDs of the containers of each image. */
export type ContainersByImage = ReadonlyMap<string, readonly string[]>;

export function containersByImage(ctx: EngineContext): ContainersByImage {
  const found = new Map<string, string[]>();
  for (const { id, body } of ctx.containers.all()) {
    const ids = found.get(body.imageID);
    if (ids) ids.push(id);
    else found.set(body.imageID, [id]);
  }
  return found;
}

async function summary(
  ctx: EngineContext,
  { descriptor, kind, manifest }: IndexEntry,
  { containers, identity }: ManifestFacts,
): Promise<ImageManifestSummary> {
  const image = manifest && ctx.metadata.images.get(manifest.config.digest);
  const isHere = image !== undefined || (kind !== 'image' && manifest !== undefined);
  const contentBytes = isHere && manifest ? descriptor.size + manifest.config.size : 0;
  const unpackedBytes = kind === 'image' ? (image?.sizeBytes ?? 0) : 0;
  const platform = kind === 'image' ? await platformOfEntry(ctx, descriptor, image) : undefined;
  return {
    ID: descriptor.digest,
    Descriptor: listed(descriptor, platform),
    Available: isHere,
    Size: { Content: contentBytes, Total: contentBytes + unpackedBytes },
    Kind: kind,
    ...(platform
      ? {
          ImageData: {
            Platform: ordered(platform),
            Size: { Unpacked: unpackedBytes },
            Containers: (image && containers.get(image.id)) ?? null,
            ...(identity && image ? identityField(leadOf(ctx, image)) : {}),
          },
        }
      : {}),
    ...(kind === 'attestation'
      ? { AttestationData: { For: descriptor.annotations?.['vnd.docker.reference.digest'] ?? '' } }
      : {}),
  };
}

/** What the index says, else what the config does. */
async function platformOfEntry(
  ctx: EngineContext,
  { platform }: Descriptor,
  image: ImageRecord | undefined,
): Promise<Platform> {
  if (platform?.os) return platform;
  if (!image) return { os: '', architecture: '' };
  return image.platform ?? platformOf(await readKnownConfig(ctx.content, image.id));
}

/** Fields in dockerd's order. */
function listed({ mediaType, digest, size, urls, annotations, platform }: Descriptor, told?: Platform): Descriptor {
  const shown = platform ?? told;
  return {
    mediaType,
    digest,
    size,
    ...(urls ? { urls } : {}),
    ...(annotations ? { annotations } : {}),
    ...(shown?.os ? { platform: ordered(shown) } : {}),
  };
}

function ordered({ architecture, os, variant, ...rest }: Platform): Platform {
  return { architecture, os, ...rest, ...(variant ? { variant } : {}) };
}
