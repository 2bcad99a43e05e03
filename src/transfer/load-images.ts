import { EngineError } from '#errdefs';
import {
  assembleImage,
  describeImage,
  type ImageDescription,
  type ImageView,
  platformOf,
  requireSameLength,
  resolveTarget,
} from '#image';
import type { Lease } from '#metadata';
import { type Digest, digestOf, type ImageConfig, type Platform, parseConfig, parseTarget, platformRank } from '#oci';
import type { Reference } from '#reference';
import type { LoadArchive } from './load-archive.ts';
import { missingMember } from './load-errors.ts';
import type { LoadedLayer, LoadLayers } from './load-layers.ts';
import { documentsBelow, type LayoutEntry, readLayout, storeDocuments } from './load-layout.ts';
import { type ManifestItem, parseManifestJson } from './load-manifest.ts';
import type { TransferStores } from './types.ts';

/** An image of an archive whose documents and layers are in the store, not yet recorded. */
export interface LoadableImage {
  readonly description: ImageDescription;
  readonly references: readonly Reference[];
}

export interface LoadContext {
  readonly stores: Pick<TransferStores, 'content' | 'metadata' | 'platform'>;
  readonly lease: Lease;
  readonly archive: LoadArchive;
  readonly layers: LoadLayers;
  /** Only images of this platform, when the client asked for one. */
  readonly platform: Platform | undefined;
}

/** The images an archive holds: what `manifest.json` lists, else what `index.json` lists. @throws `invalid-argument`. */
export async function findImages(context: LoadContext): Promise<readonly LoadableImage[]> {
  const layout = readLayout(context.archive);
  const manifest = context.archive.document('manifest.json');
  if (manifest) return fromManifest(context, parseManifestJson(manifest), layout ?? []);
  if (!layout)
    throw new EngineError(
      'invalid-argument',
      'unrecognized image format: open manifest.json: no such file or directory',
    );
  const images: LoadableImage[] = [];
  for (const entry of layout) images.push(await fromLayout(context, entry));
  return images;
}

async function fromManifest(
  context: LoadContext,
  items: readonly ManifestItem[],
  layout: readonly LayoutEntry[],
): Promise<readonly LoadableImage[]> {
  const images: LoadableImage[] = [];
  for (const item of items) {
    const bytes = context.archive.document(item.config);
    if (!bytes) throw missingMember(item.config);
    const config = parseConfig(bytes);
    if (context.platform && platformRank(platformOf(config), context.platform) === undefined) continue;
    requireSystem(config, context);
    const layers = await layersOf(context, item, config);
    const original = await originalOf(context, layout, digestOf(bytes), config);
    const description = original ?? (await assembleImage(context.stores.content, { config: bytes, layers }));
    images.push({ description: withParent(context, description, item.parent, images), references: item.references });
  }
  return images;
}

/** Another system's image is loaded by those who ask for it. */
function requireSystem({ os }: ImageConfig, { stores, platform }: LoadContext): void {
  if (os !== '' && os !== (platform ?? stores.platform).os)
    throw new EngineError('invalid-argument', `cannot load ${os} image on ${stores.platform.os}`);
}

async function layersOf(
  { archive, layers }: LoadContext,
  item: ManifestItem,
  config: ImageConfig,
): Promise<readonly LoadedLayer[]> {
  const wanted = config.rootfs.diff_ids;
  requireSameLength(item.layers.length, wanted.length);
  const found: LoadedLayer[] = [];
  for (const [index, path] of item.layers.entries()) {
    const name = archive.resolve(path);
    const held = layers.byName(name) ? undefined : archive.document(name);
    const layer = held ? await layers.takeHeld(name, held) : layers.byName(name);
    if (!layer) throw missingMember(path);
    requireDiffID(index, wanted[index]!, layer.diffID);
    found.push(layer);
  }
  return found;
}

function requireDiffID(index: number, wanted: Digest, found: Digest): void {
  if (found !== wanted)
    throw new EngineError('data-loss', `invalid diffID for layer ${index}: expected "${wanted}", got "${found}"`);
}

/** The manifest and index the archive brings for a config, when all of it fits: their digests are worth keeping. */
async function originalOf(
  context: LoadContext,
  layout: readonly LayoutEntry[],
  id: Digest,
  config: ImageConfig,
): Promise<ImageDescription | undefined> {
  for (const { target } of layout) {
    const documents = documentsBelow(context.archive, target);
    const isHere = documents.some(({ bytes, digest }) => digest !== id && configOf(bytes) === id);
    if (!isHere || !documents.some(({ digest }) => digest === id)) continue;
    await storeDocuments(context.stores, context.lease, documents);
    const view = await resolveTarget(context.stores.content, target, platformOf(config));
    if (view.manifest.config.digest !== id || !viewLayers(context, view)) continue;
    return describe(context, view, documents);
  }
  return undefined;
}

function configOf(bytes: Buffer): Digest | undefined {
  try {
    const document = parseTarget(bytes);
    return document.kind === 'manifest' ? document.manifest.config.digest : undefined;
  } catch (error) {
    if (error instanceof EngineError) return undefined;
    throw error;
  }
}

async function fromLayout(context: LoadContext, { target, reference }: LayoutEntry): Promise<LoadableImage> {
  const documents = documentsBelow(context.archive, target);
  if (documents.length === 0) throw missingMember(`blobs/${target.digest.replace(':', '/')}`);
  await storeDocuments(context.stores, context.lease, documents);
  const view = await resolveTarget(context.stores.content, target, context.platform);
  requireSystem(view.config, context);
  for (const [index, { digest }] of view.manifest.layers.entries()) {
    const layer = context.layers.byDigest(digest);
    if (!layer) throw missingMember(`blobs/${digest.replace(':', '/')}`);
    requireDiffID(index, view.diffIDs[index]!, layer.diffID);
  }
  return {
    description: describe(context, view, documents),
    references: reference ? [reference] : [],
  };
}

/** The view's layers, when the archive had each of them and they are what the config says. */
function viewLayers({ layers }: LoadContext, view: ImageView): readonly LoadedLayer[] | undefined {
  const found = view.manifest.layers.map(({ digest }) => layers.byDigest(digest));
  const fits = found.every((layer, index) => layer?.diffID === view.diffIDs[index]);
  return fits ? (found as LoadedLayer[]) : undefined;
}

function describe(
  context: LoadContext,
  view: ImageView,
  documents: readonly { readonly digest: Digest }[],
): ImageDescription {
  const layers = viewLayers(context, view) ?? [];
  return describeImage(view, {
    sizeBytes: layers.reduce((sum, layer) => sum + layer.sizeBytes, 0),
    documents: documents.map(({ digest }) => digest),
  });
}

/** The parent counts when it is here: loaded before, or earlier in this archive. */
function withParent(
  { stores }: LoadContext,
  description: ImageDescription,
  parent: Digest | undefined,
  earlier: readonly LoadableImage[],
): ImageDescription {
  if (parent === undefined || parent === description.id) return description;
  const isHere =
    stores.metadata.images.get(parent) !== undefined || earlier.some((image) => image.description.id === parent);
  return isHere ? { ...description, parent } : description;
}
