import { type DeltaLayer, parseLayerList } from '#delta';
import type { ImageRecord } from '#metadata';
import type { DiffID, Digest } from '#oci';
import { resolveSaveNames, type SelectedImage } from './save-names.ts';
import type { TransferStores } from './types.ts';

/** What the other side has. */
export interface DeltaBase {
  /** Images by name, which are here as well. */
  readonly images?: readonly string[];
  /** What {@link layersHere} said there. */
  readonly list?: string;
}

/** A layer the other side has. */
export interface BaseLayer extends DeltaLayer {
  /** It is here too: what it has in common with a new layer can be found. */
  readonly isHere: boolean;
}

type Stores = Pick<TransferStores, 'content' | 'metadata'>;

/** The layers of a base, each once; those first that are most likely like the images that are saved. @throws `not-found` for an unknown name. */
export async function resolveBase(
  stores: Stores,
  base: DeltaBase,
  saved: readonly SelectedImage[],
): Promise<readonly BaseLayer[]> {
  const { images } = stores.metadata;
  const named = resolveSaveNames(images, base.images ?? []).flatMap(({ image }) => image.diffIDs);
  const listed = base.list === undefined ? [] : parseLayerList(base.list);
  const near = nearness(images.list(), saved);
  const wanted = new Map<Digest, number | undefined>();
  for (const digest of named) wanted.set(digest, undefined);
  for (const { digest, sizeBytes } of [...listed].sort((a, b) => near(b.digest) - near(a.digest)))
    if (!wanted.has(digest)) wanted.set(digest, sizeBytes);
  const found: BaseLayer[] = [];
  for (const [digest, sizeBytes] of wanted) {
    const here = stores.metadata.layers.get(digest as DiffID) && (await stores.content.stat(digest));
    const size = here?.sizeBytes ?? sizeBytes;
    if (size !== undefined) found.push({ digest, sizeBytes: size, isHere: here !== undefined });
  }
  return found;
}

/** Layers of images of the same repository are nearest, then those of images that share a layer. */
function nearness(images: readonly ImageRecord[], saved: readonly SelectedImage[]): (digest: Digest) => number {
  const repositories = new Set(saved.flatMap(({ image }) => image.names.map(repositoryOf)));
  const layers = new Set<Digest>(saved.flatMap(({ image }) => image.diffIDs));
  const ranks = new Map<Digest, number>();
  for (const image of images) {
    const isSame = image.names.some((name) => repositories.has(repositoryOf(name)));
    const rank = isSame ? 2 : image.diffIDs.some((diffID) => layers.has(diffID)) ? 1 : 0;
    for (const diffID of image.diffIDs) ranks.set(diffID, Math.max(rank, ranks.get(diffID) ?? 0));
  }
  return (digest) => ranks.get(digest) ?? 0;
}

function repositoryOf(name: string): string {
  return name.replace(/:[^:/]*$/, '');
}

/** The layers of these images, or all there are: for the other side of a {@link DeltaBase}. @throws `not-found` for an unknown name. */
export async function layersHere(stores: Stores, names: readonly string[]): Promise<readonly DeltaLayer[]> {
  const { images, layers } = stores.metadata;
  const wanted = new Set(resolveSaveNames(images, names).flatMap(({ image }) => image.diffIDs));
  const found: DeltaLayer[] = [];
  for (const { diffID, sizeBytes } of layers.list()) {
    if (names.length > 0 && !wanted.has(diffID)) continue;
    if ((await stores.content.stat(diffID))?.sizeBytes === sizeBytes) found.push({ digest: diffID, sizeBytes });
  }
  return found;
}
