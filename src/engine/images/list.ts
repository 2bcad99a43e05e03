import type { Filters, ImageSummary } from '#api-types';
import { compileGoMatch } from '#dockerfile';
import { EngineError } from '#errdefs';
import { indexesOf } from '#image';
import type { ImageRecord } from '#metadata';
import type { Digest } from '#oci';
import { familiarName, familiarString, parseReference } from '#reference';
import type { EngineContext } from '../context.ts';
import { booleanFilter, checkFilterKeys, matchesLabels } from '../filters.ts';
import { parseTimeNs } from '../time.ts';
import { containersByImage, type ManifestFacts, manifestSummaries } from './manifests.ts';
import { imagesBehind, leadOf } from './platforms.ts';
import { resolveImage } from './resolve.ts';

const knownFilters = ['before', 'dangling', 'label', 'reference', 'since', 'until'];

export interface ListImagesOptions {
  readonly all?: boolean;
  readonly filters?: Filters;
  readonly sharedSize?: boolean;
  /** Says of each image what its target names. */
  readonly manifests?: boolean;
  /** And of each of those where it is from. */
  readonly identity?: boolean;
}

/** `GET /images/json`, with what the targets name where that is wanted. */
export async function listImagesWithManifests(
  ctx: EngineContext,
  options: ListImagesOptions = {},
): Promise<readonly ImageSummary[]> {
  const summaries = listImages(ctx, options);
  if (!options.manifests) return summaries;
  const containers = containersByImage(ctx);
  return await Promise.all(
    summaries.map((summary) => withManifests(ctx, summary, { containers, identity: options.identity ?? false })),
  );
}

async function withManifests(ctx: EngineContext, summary: ImageSummary, facts: ManifestFacts): Promise<ImageSummary> {
  const image = ctx.metadata.images.get(summary.Id as Digest);
  if (!image) return summary;
  const indexes = indexesOf(image);
  const targets = indexes.length > 0 ? indexes : [image.target];
  return { ...summary, Descriptor: targets[0]!, Manifests: await manifestSummaries(ctx, targets, facts) };
}

/** Newest first; without `all`, unnamed images that others grew from are left out, as Docker does. An index is one image, whatever of it is here. */
export function listImages(ctx: EngineContext, options: ListImagesOptions = {}): ImageSummary[] {
  const filters = options.filters ?? {};
  checkFilterKeys(filters, knownFilters);
  const parents = new Set(ctx.metadata.images.list().flatMap((image) => (image.parent ? [image.parent] : [])));
  const dangling = booleanFilter(filters, 'dangling');
  const selects = selection(ctx, filters);
  const containers = containersPerImage(ctx);
  const shared = options.sharedSize ? sharedSizes(ctx) : undefined;
  const summaries: ImageSummary[] = [];
  for (const image of newestFirst(ctx.metadata.images.list())) {
    if (leadOf(ctx, image) !== image || !selects(image)) continue;
    const behind = imagesBehind(ctx, image);
    const unnamed = image.names.length === 0 && image.repoDigests.length === 0;
    const isStep = parents.has(image.id) || image.isByTheWay === true;
    const isDangling = unnamed && !isStep;
    if (dangling !== undefined && isDangling !== dangling) continue;
    if (!options.all && unnamed && isStep) continue;
    const names = shownNames(image, filters['reference']);
    if (names.tags.length === 0 && names.digests.length === 0 && filters['reference']?.length) continue;
    summaries.push({
      Containers: [image, ...behind].reduce((sum, { id }) => sum + (containers.get(id) ?? 0), 0),
      Created: Math.floor(image.createdMs / 1000),
      Id: image.id,
      Labels: Object.keys(image.labels).length > 0 ? image.labels : null,
      ParentId: image.parent ?? '',
      RepoDigests: names.digests,
      RepoTags: names.tags,
      SharedSize: shared?.get(image.id) ?? -1,
      Size: behind.length === 0 ? image.sizeBytes : sizeOfLayers(ctx, [image, ...behind]),
    });
  }
  return summaries;
}

/** Of several images, shared layers once. */
function sizeOfLayers(ctx: EngineContext, images: readonly ImageRecord[]): number {
  const layers = new Set(images.flatMap((image) => image.diffIDs));
  return [...layers].reduce((sum, layer) => sum + (ctx.metadata.layers.get(layer)?.sizeBytes ?? 0), 0);
}

/** By the time of creation; of two made in the same moment, the one stored last comes first. */
function newestFirst(images: readonly ImageRecord[]): readonly ImageRecord[] {
  return [...images].reverse().sort((a, b) => b.createdMs - a.createdMs);
}

export interface FamiliarNames {
  readonly tags: readonly string[];
  readonly digests: readonly string[];
}

/** A record never changes: its names are parsed once, not in every list. */
const familiar = new WeakMap<ImageRecord, FamiliarNames>();

/** Names as people write them. */
export function familiarNames(image: ImageRecord): FamiliarNames {
  const known = familiar.get(image);
  if (known) return known;
  const shown = (names: readonly string[]) => names.map((name) => familiarString(parseReference(name)));
  const names = { tags: shown(image.names), digests: shown(image.repoDigests) };
  familiar.set(image, names);
  return names;
}

/** Bytes of each image that other images' layers share, by image ID. */
export function sharedSizes(ctx: EngineContext): Map<string, number> {
  const users = new Map<string, number>();
  const images = ctx.metadata.images.list();
  for (const image of images) for (const layer of new Set(image.diffIDs)) users.set(layer, (users.get(layer) ?? 0) + 1);
  return new Map(
    images.map((image) => {
      const shared = image.diffIDs.filter((layer) => users.get(layer)! > 1);
      return [image.id, shared.reduce((sum, layer) => sum + (ctx.metadata.layers.get(layer)?.sizeBytes ?? 0), 0)];
    }),
  );
}

export function containersPerImage(ctx: EngineContext): Map<string, number> {
  const counts = new Map<string, number>();
  for (const container of ctx.containers.all()) {
    const id = container.body.imageID;
    if (id !== '') counts.set(id, (counts.get(id) ?? 0) + 1);
  }
  return counts;
}

function shownNames(image: ImageRecord, patterns: readonly string[] | undefined): FamiliarNames {
  const names = familiarNames(image);
  if (!patterns || patterns.length === 0) return names;
  const globs = patterns.map((pattern) => compileGoMatch(pattern));
  const fits = (name: string) => {
    const forms = [name, familiarName(parseReference(name))];
    return globs.some((glob) => forms.some((form) => glob.matches(form)));
  };
  return { tags: names.tags.filter(fits), digests: names.digests.filter(fits) };
}

/** The filters that look at one image alone: label, before, since, until. */
function selection(ctx: EngineContext, filters: Filters): (image: ImageRecord) => boolean {
  const before = oldest(referenced(ctx, filters, 'before'));
  const since = newest(referenced(ctx, filters, 'since'));
  const until = oldest((filters['until'] ?? []).map(timeMs));
  return (image) =>
    matchesLabels(image.labels, filters) &&
    (before === undefined || image.createdMs < before) &&
    (since === undefined || image.createdMs > since) &&
    (until === undefined || image.createdMs < until);
}

function referenced(ctx: EngineContext, filters: Filters, key: string): number[] {
  return (filters[key] ?? []).map((name) => resolveImage(ctx, name).createdMs);
}

const oldest = (times: number[]) => (times.length > 0 ? Math.min(...times) : undefined);
const newest = (times: number[]) => (times.length > 0 ? Math.max(...times) : undefined);

/** The one `until` of a prune. @throws `invalid-argument` when there are several. */
export function untilMs(filters: Filters): number | undefined {
  const values = filters['until'] ?? [];
  if (values.length > 1) throw new EngineError('invalid-argument', 'more than one until filter specified');
  return values[0] === undefined ? undefined : timeMs(values[0]);
}

const timeMs = (text: string) => Number(parseTimeNs(text) / 1_000_000n);
