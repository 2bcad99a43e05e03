import { assembleImage, manifestOf, readConfig, type StoredLayer } from '#image';
import type { Lease } from '#metadata';
import {
  type DiffID,
  type Digest,
  digestOf,
  type HistoryEntry,
  type ImageConfig,
  parseConfig,
  type RunConfig,
} from '#oci';
import type { CacheKey, ResultCache } from '../solver/index.ts';
import type { BuildTimes } from '../source-date-epoch.ts';
import type { BuilderHost } from '../types.ts';
import { ForeignCache, type ForeignStep } from './foreign-cache.ts';
import { createdAt, type Moment } from './moment.ts';
import { withSharedHistory } from './shared-history.ts';
import type { StepState } from './state.ts';

type Stores = Pick<BuilderHost, 'content' | 'metadata' | 'images'>;

export interface RecordedStep {
  readonly config: RunConfig;
  readonly createdBy: string;
  readonly author: string;
  /** When it took place. */
  readonly moment: Moment;
  /** Absent when the step changed no file. */
  readonly layer?: StoredLayer;
}

/**
 * Turns steps into images. An image's ID is known at once; writing goes on beside the next step and is waited for by `flush`, so that many small
 * steps cost one wait for the disk.
 */
export class Recorder implements ResultCache<StepState> {
  readonly #stores: Stores;
  readonly #lease: Lease;
  readonly #writing = new Map<Digest, Promise<void>>();
  readonly #held = new Set<Digest>();
  readonly #images = new Map<Digest, Disposable>();
  readonly #saving: Promise<void>[] = [];

  readonly #foreign: ForeignCache;
  readonly #times: BuildTimes;
  readonly #keepsNothing: boolean;
  readonly #imageless = new Set<string>();

  /** `foreign`: images of `--cache-from`. `times`: what the times in them follow. `keepsNothing`: images are made up and not written, nor are records. */
  constructor(
    stores: Stores,
    lease: Lease,
    {
      foreign = new ForeignCache([]),
      times,
      keepsNothing = false,
    }: { foreign?: ForeignCache; times: BuildTimes; keepsNothing?: boolean },
  ) {
    this.#foreign = foreign;
    this.#times = times;
    this.#keepsNothing = keepsNothing;
    this.#stores = stores;
    this.#lease = lease;
  }

  /** The image after a step above `parent`. */
  next(parent: StepState, step: RecordedStep): StepState {
    const entry: HistoryEntry = {
      created: createdAt(step.moment),
      created_by: step.createdBy,
      ...(step.author === '' ? {} : { author: step.author }),
      ...(step.layer ? {} : { empty_layer: true }),
    };
    return this.#child(parent, { ...step, entry });
  }

  /** An image with one layer in the place of several: a root of its own, whose history still tells every step. */
  squashed(
    base: StepState | undefined,
    end: StepState,
    { layer, comment, moment }: { layer: StoredLayer; comment: string; moment: Moment },
  ): StepState {
    const created = createdAt(moment);
    const layers = [...(base?.layers ?? []), layer];
    const before = base?.config.history?.length ?? 0;
    const steps = (end.config.history ?? []).map((entry, at) =>
      at < before ? entry : { ...entry, empty_layer: true },
    );
    const config: ImageConfig = {
      // Decoded again, as a state from the cache is: the order of its fields tells an image from another.
      ...parseConfig(Buffer.from(JSON.stringify(end.config))),
      created,
      history: [...steps, { created, comment }],
      rootfs: { type: 'layers', diff_ids: layers.map(({ diffID }) => diffID) },
    };
    return this.#record(config, layers, undefined);
  }

  #child(parent: StepState, step: ForeignStep): StepState {
    const layers = step.layer ? [...parent.layers, step.layer] : parent.layers;
    return this.#record(childConfig(parent.config, step, layers), layers, parent.imageID);
  }

  #record(config: ImageConfig, layers: readonly StoredLayer[], parent: Digest | undefined): StepState {
    const bytes = Buffer.from(JSON.stringify(config));
    const imageID = digestOf(bytes);
    if (this.#keepsNothing) return { imageID, config, layers };
    this.#use(imageID);
    this.#writing.set(imageID, this.#write(imageID, bytes, layers, parent));
    this.#writing.get(imageID)!.catch(() => {});
    return { imageID, config, layers };
  }

  /** Keeps what a state stands on from the collector for the length of the build. */
  async hold(state: StepState): Promise<void> {
    if (state.imageID) this.#use(state.imageID);
    await this.holdLayers(state.layers.map((layer) => layer.diffID));
  }

  async holdLayers(layers: readonly DiffID[]): Promise<void> {
    const digests = layers.filter((digest) => !this.#held.has(digest));
    if (digests.length === 0) return;
    await this.#lease.add(...digests);
    for (const digest of digests) this.#held.add(digest);
  }

  #use(image: Digest): void {
    if (!this.#images.has(image)) this.#images.set(image, this.#stores.images.hold(image));
  }

  /** A record of this store, else a step of an image that was given as a cache: it then becomes a record. */
  async load(key: CacheKey, [parent]: readonly StepState[]): Promise<StepState | undefined> {
    const own = await this.#own(key, parent);
    if (own || !parent) return own;
    const foreign = this.#foreign.find(key, parent);
    if (!foreign) return undefined;
    const state = this.#child(parent, foreign);
    await this.hold(state);
    this.#saving.push(this.#save(key, state));
    this.#saving.at(-1)!.catch(() => {});
    return state;
  }

  async #own(key: CacheKey, parent: StepState | undefined): Promise<StepState | undefined> {
    const record = this.#stores.metadata.buildCache.get(key.digest);
    const imageID = record?.result.imageID;
    if (!imageID) return undefined;
    const image = this.#stores.metadata.images.get(imageID);
    if (!image) {
      this.#imageless.add(key.digest);
      await this.#stores.metadata.buildCache.remove([key.digest]);
      return undefined;
    }
    this.#use(imageID);
    const layers: StoredLayer[] = [];
    for (const diffID of image.diffIDs) {
      const layer = this.#stores.metadata.layers.get(diffID);
      if (!layer) return undefined;
      layers.push({ diffID, sizeBytes: layer.sizeBytes });
    }
    const config = await readConfig(this.#stores.content, imageID);
    this.#saving.push(this.#stores.metadata.buildCache.touch(key.digest, Date.now()));
    this.#saving.at(-1)!.catch(() => {});
    return { imageID, config: parent ? withSharedHistory(config, parent.config) : config, layers };
  }

  /** Whether a record was there, and the image it named was not. */
  hadImage(key: string): boolean {
    return this.#imageless.has(key);
  }

  async save(key: CacheKey, result: StepState, durationMs: number): Promise<void> {
    const saving = this.#save(key, result, durationMs);
    this.#saving.push(saving);
    await saving;
  }

  /** Everything recorded so far survives a crash. @throws when something could not be written. */
  async flush(): Promise<void> {
    await Promise.all(this.#writing.values());
    await Promise.all(this.#saving);
  }

  /** Waits for the writers to end, whatever their outcome; the images are on their own then. */
  async settle(): Promise<void> {
    await Promise.allSettled([...this.#writing.values(), ...this.#saving]);
    for (const use of this.#images.values()) use[Symbol.dispose]();
    this.#images.clear();
  }

  async #save(key: CacheKey, result: StepState, durationMs?: number): Promise<void> {
    const { imageID } = result;
    if (!imageID || this.#keepsNothing) return;
    await this.#writing.get(imageID);
    const atMs = Date.now();
    await this.#stores.metadata.buildCache.put({
      key: key.digest,
      // The image keeps its layers; when it is removed the record has nothing left to give.
      result: { diffIDs: [], imageID },
      description: key.description,
      components: key.components,
      sizeBytes: addedBytes(result),
      ...(durationMs === undefined ? {} : { durationMs: Math.round(durationMs) }),
      createdMs: atMs,
      lastUsedMs: atMs,
      usageCount: 0,
    });
  }

  async #write(id: Digest, config: Buffer, layers: readonly StoredLayer[], parent: Digest | undefined): Promise<void> {
    const manifest = digestOf(Buffer.from(JSON.stringify(manifestOf(id, config.length, layers))));
    await this.#lease.add(id, manifest);
    // Its configuration tells the moment of what it stands on; users ask when it was made.
    const madeMs = this.#times.kind === 'base' ? { madeMs: Date.now() } : {};
    const parts = { config, layers, ...madeMs, ...(parent === undefined ? {} : { parent }) };
    await this.#stores.metadata.images.put(await assembleImage(this.#stores.content, parts));
  }
}

function addedBytes(state: StepState): number {
  const last = state.config.history?.at(-1);
  return last?.empty_layer ? 0 : (state.layers.at(-1)?.sizeBytes ?? 0);
}

function childConfig(parent: ImageConfig, step: ForeignStep, layers: readonly StoredLayer[]): ImageConfig {
  const { entry } = step;
  const { author } = entry;
  const { architecture, os, variant, 'os.version': osVersion, 'os.features': osFeatures } = parent;
  return {
    architecture,
    ...(author ? { author } : {}),
    config: step.config,
    ...(entry.created === undefined ? {} : { created: entry.created }),
    history: [...(parent.history ?? []), entry],
    os,
    ...(osFeatures ? { 'os.features': osFeatures } : {}),
    ...(osVersion ? { 'os.version': osVersion } : {}),
    rootfs: { type: 'layers', diff_ids: layers.map((layer) => layer.diffID) },
    ...(variant ? { variant } : {}),
  };
}
