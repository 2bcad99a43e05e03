import { EngineError } from '#errdefs';
import {
  assembleImage,
  chooseMember,
  describeImage,
  type ImageDescription,
  type ImageView,
  indexEntries,
  platformOf,
  requireSameLength,
  resolveTarget,
} from '#image';
import type { Lease } from '#metadata';
import {
  type Digest,
  digestOf,
  type ImageConfig,
  isIndex,
  type Platform,
  parseConfig,
  parseTarget,
  platformRank,
} from '#oci';
import type { Reference } from '#reference';
import type { LoadArchive } from './load-archive.ts';
import { missingMember } from './load-errors.ts';
import type { LoadedLayer, LoadLayers } from './load-layers.ts';
import { documentsBelow, type LayoutDocument, type LayoutEntry, readLayout, storeDocuments } from './load-layout.ts';
import { type ManifestItem, parseManifestJson } from './load-manifest.ts';
import type { TransferStores } from './types.ts';

/** An image of an archive whose documents and layers are in the store, not yet recorded. */
export interface LoadableImage {
  readonly description: ImageDescription;
  readonly references: readonly Reference[];
  /** Another platform of an image that comes with it: not told of by itself. */
  readonly isBehind?: boolean;
}

export interface LoadContext {
  readonly stores: Pick<TransferStores, 'content' | 'metadata' | 'platform'>;
  readonly lease: Lease;
  readonly archive: LoadArchive;
  readonly layers: LoadLayers;
  /** Only images of these platforms, when the client asked for some. */
  readonly platforms: readonly Platform[];
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
  for (const entry of layout) images.push(...(await fromLayout(context, entry)));
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
    const isMeant = isWanted(context, platformOf(config));
    if (isMeant) requireSystem(config, context);
    const layers = isMeant ? await layersOf(context, item, config) : [];
    const original = await originalOf(context, layout, digestOf(bytes));
    const others = original ? await othersOf(context, original) : [];
    if (!isMeant) {
      images.push(...named(context, others, item.references));
      continue;
    }
    const description =
      original?.description ?? (await assembleImage(context.stores.content, { config: bytes, layers }));
    images.push(...behind(others));
    images.push({ description: withParent(context, description, item.parent, images), references: item.references });
  }
  return images;
}

/** Platforms that an index has beside the one that `manifest.json` lists: it knows of one only. */
async function othersOf(
  context: LoadContext,
  { entry, description }: { entry: LayoutEntry; description: ImageDescription },
): Promise<readonly ImageDescription[]> {
  if (!isIndex(entry.target.mediaType)) return [];
  const platforms = await loadablePlatforms(context, entry, documentsBelow(context.archive, entry.target));
  return platforms.filter(({ id, platform }) => id !== description.id && isWanted(context, platform));
}

/** One of several platforms has the names. */
function named(
  { platforms: wanted, stores }: LoadContext,
  platforms: readonly ImageDescription[],
  references: readonly Reference[],
): readonly LoadableImage[] {
  const lead = chooseMember(platforms, wanted[0], stores.platform) ?? platforms.at(-1);
  if (!lead) return [];
  return [...behind(platforms.filter((one) => one !== lead)), { description: lead, references }];
}

/** Another system's image is loaded by those who ask for it. */
function requireSystem({ os }: Pick<ImageConfig, 'os'>, { stores, platforms }: LoadContext): void {
  const wanted = platforms.length > 0 ? platforms : [stores.platform];
  if (os !== '' && !wanted.some((platform) => os === platform.os))
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
): Promise<{ entry: LayoutEntry; description: ImageDescription } | undefined> {
  for (const entry of layout) {
    const documents = documentsBelow(context.archive, entry.target);
    const isHere = documents.some(({ bytes, digest }) => digest !== id && configOf(bytes) === id);
    if (!isHere || !documents.some(({ digest }) => digest === id)) continue;
    const description = (await loadablePlatforms(context, entry, documents)).find((found) => found.id === id);
    if (description) return { entry, description };
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

async function fromLayout(context: LoadContext, entry: LayoutEntry): Promise<readonly LoadableImage[]> {
  const { target, reference } = entry;
  const documents = documentsBelow(context.archive, target);
  if (documents.length === 0) throw missingMember(`blobs/${target.digest.replace(':', '/')}`);
  const references = reference ? [reference] : [];
  const found = await loadablePlatforms(context, entry, documents);
  if (!isIndex(target.mediaType) || found.length === 0) {
    return [{ description: await onlyPlatform(context, entry, documents), references }];
  }
  const wanted = found.filter((one) => isWanted(context, one.platform));
  const images = named(context, wanted, references);
  const lead = images.at(-1);
  if (!lead) return [{ description: await onlyPlatform(context, entry, documents), references }];
  requireSystem(lead.description.platform, context);
  return images;
}

/** The one image that is meant, with a word on what is missing of it. */
async function onlyPlatform(
  context: LoadContext,
  { target }: LayoutEntry,
  documents: readonly LayoutDocument[],
): Promise<ImageDescription> {
  const view = await resolveTarget(context.stores.content, target, context.platforms[0]);
  requireSystem(view.config, context);
  for (const [index, { digest }] of view.manifest.layers.entries()) {
    const layer = context.layers.byDigest(digest);
    if (!layer) throw missingMember(`blobs/${digest.replace(':', '/')}`);
    requireDiffID(index, view.diffIDs[index]!, layer.diffID);
  }
  return describe(view, { documents, layers: context.layers.ofView(view, false) ?? [] });
}

/** The platforms of an index that the archive has whole. */
async function loadablePlatforms(
  context: LoadContext,
  { target, isByDiffID }: LayoutEntry,
  documents: readonly LayoutDocument[],
): Promise<readonly ImageDescription[]> {
  const { content } = context.stores;
  await storeDocuments(context.stores, context.lease, documents);
  const has = new Set(documents.map(({ digest }) => digest));
  const found: ImageDescription[] = [];
  for (const { descriptor, kind, manifest } of await indexEntries(content, target)) {
    if (kind !== 'image' || !manifest || !has.has(descriptor.digest) || !has.has(manifest.config.digest)) continue;
    const view = await resolveTarget(content, descriptor, undefined);
    const layers = context.layers.ofView(view, isByDiffID);
    if (layers) found.push(describe({ ...view, target }, { documents, layers }));
  }
  return found;
}

/** The other platforms of an index, without names of their own. */
function behind(platforms: readonly ImageDescription[]): readonly LoadableImage[] {
  return platforms.map((description) => ({ description, references: [], isBehind: true }));
}

function isWanted({ platforms }: LoadContext, offered: Platform): boolean {
  return platforms.length === 0 || platforms.some((platform) => platformRank(offered, platform) !== undefined);
}

function describe(
  view: ImageView,
  { documents, layers }: { documents: readonly LayoutDocument[]; layers: readonly LoadedLayer[] },
): ImageDescription {
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
