import type { StoredLayer } from '#image';
import type { HistoryEntry, ImageConfig, RunConfig } from '#oci';
import type { CacheKey } from '../solver/index.ts';
import type { StepState } from './state.ts';

/** What a step left in an image that was built elsewhere. */
export interface ForeignStep {
  readonly config: RunConfig;
  readonly entry: HistoryEntry;
  readonly layer?: StoredLayer;
}

/**
 * `--cache-from`: images whose history tells how they were built. A step is found there when an image goes on from the state before it, history entry by
 * history entry and layer by layer, with just this step, as dockerd tells it.
 */
export class ForeignCache {
  readonly #images: readonly { readonly config: ImageConfig; readonly layers: readonly StoredLayer[] }[];

  constructor(images: readonly { readonly config: ImageConfig; readonly layers: readonly StoredLayer[] }[]) {
    this.#images = images;
  }

  find(key: CacheKey, parent: StepState): ForeignStep | undefined {
    for (const image of this.#images) {
      const found = stepAfter(image, parent, key);
      if (found) return found;
    }
    return undefined;
  }
}

function stepAfter(
  image: { readonly config: ImageConfig; readonly layers: readonly StoredLayer[] },
  parent: StepState,
  key: CacheKey,
): ForeignStep | undefined {
  const before = parent.config.history ?? [];
  const entry = image.config.history?.[before.length];
  if (!entry || entry.created_by !== key.description || !isSamePlatform(image.config, parent.config)) return undefined;
  if (!before.every((known, at) => isSameStep(known, image.config.history![at]!))) return undefined;
  if (!parent.layers.every((layer, at) => layer.diffID === image.layers[at]?.diffID)) return undefined;
  const layer = entry.empty_layer ? undefined : image.layers[parent.layers.length];
  if (!entry.empty_layer && !layer) return undefined;
  const { config = parent.config.config ?? {}, buildTime } = key.components as {
    config?: RunConfig;
    buildTime?: number;
  };
  // With another time in it the image would not be the one that this build makes without the cache.
  if (buildTime !== undefined && Date.parse(entry.created ?? '') !== buildTime * 1000) return undefined;
  return { config, entry, ...(layer ? { layer } : {}) };
}

function isSameStep(one: HistoryEntry, other: HistoryEntry): boolean {
  return (
    one.created_by === other.created_by &&
    one.created === other.created &&
    Boolean(one.empty_layer) === Boolean(other.empty_layer)
  );
}

function isSamePlatform(one: ImageConfig, other: ImageConfig): boolean {
  return one.os === other.os && one.architecture === other.architecture && one.variant === other.variant;
}
