import { log } from '#log';
import { isConfig, parseConfig, parseTarget } from '#oci';
import { readAll } from '#streams';
import type { Stores } from '../registry.ts';
import type { NewManifest } from '../store/meta-store.ts';

/** Configs that are larger describe nothing. */
const maxDescribingConfigBytes = 1 << 20;
const maxDescriptionLength = 1024;
export const maxReadmeLength = 256 << 10;
const maxLabelsLength = 16 << 10;

const descriptionKey = 'org.opencontainers.image.description';
/** An annotation or a label of an image: the text people read on the repository's page. */
const readmeKey = 'io.wherry.readme';

/** Takes over what a pushed image says of itself, in annotations or in the labels of its config. Never fails the push. */
export async function describeByManifest(stores: Stores, name: string, manifest: NewManifest): Promise<void> {
  try {
    const said = { ...(await labelsOf(stores, manifest)), ...annotationsOf(manifest) };
    if (Object.keys(said).length === 0) return;
    const { [descriptionKey]: description, [readmeKey]: readme, ...rest } = said;
    const labels = Object.entries(rest).map(([key, value]) => `${key}=${value}`);
    await stores.meta.describeByImage(name, {
      ...(description === undefined ? {} : { description: oneLine(description) }),
      ...(readme === undefined ? {} : { readme: readme.slice(0, maxReadmeLength) }),
      labels: labels.join('\n').slice(0, maxLabelsLength),
    });
  } catch (error) {
    log.debug('an image does not describe its repository', { repository: name, digest: manifest.digest, error });
  }
}

/** Descriptions are shown in a line of a table. */
export function oneLine(description: string): string {
  return description.replace(/\s+/g, ' ').trim().slice(0, maxDescriptionLength);
}

function annotationsOf({ bytes, mediaType }: NewManifest): Readonly<Record<string, string>> {
  const target = parseTarget(bytes, mediaType);
  return (target.kind === 'index' ? target.index : target.manifest).annotations ?? {};
}

async function labelsOf(
  { blobs }: Stores,
  { bytes, mediaType }: NewManifest,
): Promise<Readonly<Record<string, string>>> {
  const target = parseTarget(bytes, mediaType);
  if (target.kind === 'index') return {};
  const { config } = target.manifest;
  if (!isConfig(config.mediaType) || config.size > maxDescribingConfigBytes) return {};
  const bytesOfConfig = await readAll(blobs.open(config.digest), maxDescribingConfigBytes);
  try {
    return parseConfig(bytesOfConfig).config?.Labels ?? {};
  } catch {
    // What is not an image may call anything a config.
    return {};
  }
}
