import { mkdir, readdir, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { cleanup, delay, KeyedLock } from '#concurrency';
import { EngineError, isKind, messageOf } from '#errdefs';
import { readBounded, removeIfPresent, writeAtomic } from '#files';
import { log } from '#log';
import { type ChainID, chainIDs, type DiffID, isDigest } from '#oci';
import { defaultFolder } from './create.ts';
import { fileSize, placeIndex, temporaryIndex } from './index-files.ts';
import {
  type ChainIndexKind,
  chainIndexKinds,
  chainIndexPath,
  isImpliedRoot,
  isPlainRoot,
  type LayerIndex,
  layerIndexPath,
  layerTag,
  readLayerIndex,
  recordPath,
} from './layer-index.ts';
import type { JobResult } from './protocol.ts';
import type { Attributes } from './tree.ts';
import type { Chain, SnapshotUsage, VerifyOptions } from './types.ts';
import { requireTar } from './unpacked-layers.ts';
import type { SnapshotWorkers } from './workers.ts';

const maxRecordBytes = 1 << 20;
/** Chains deeper than this are stacked on one index of their lower part. The kernel takes 500, some of which others use. */
const maxStackDepth = 450;
/** Longer than any index takes from its file to its record. */
const secondLookMs = 1000;
/** So many layers, or a multiple, go into that index: a chain that grows keeps it. */
const mergeStep = 400;

export interface IndexStoreOptions {
  readonly root: string;
  readonly contentPath: (diffID: DiffID) => string;
  readonly workers: SnapshotWorkers;
}

/**
 * The EROFS indexes of a data root. A layer that leans on what is below it has one for each chain it is in, every other layer one
 * for all. What is missing is made of the tars.
 */
export class IndexStore {
  readonly #options: IndexStoreOptions;
  readonly #locks = new KeyedLock();
  /** The index of each chain's top layer, once known. */
  readonly #known = new Map<ChainID, LayerIndex>();
  /** Files that are for one chain each. */
  readonly #chainFiles = new Map<string, Chain>();
  /** Layers known to lean on what is below. */
  readonly #leaning = new Set<DiffID>();

  constructor(options: IndexStoreOptions) {
    this.#options = options;
  }

  get #folder(): string {
    return join(this.#options.root, 'layers');
  }

  async load(): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    for (const { path, chain } of await this.#chainIndexes()) this.#chainFiles.set(path, chain);
  }

  /** The indexes to stack for a chain, from the bottom up; not more than the kernel takes. */
  async stack(chain: Chain, signal: AbortSignal | undefined): Promise<readonly LayerIndex[]> {
    const indexes = await this.#resolve(chain, signal);
    const stack = withoutRepeats(indexes);
    if (stack.length <= maxStackDepth) return stack;
    const depth = Math.floor(chain.length / mergeStep) * mergeStep;
    const merged = await this.#merged(chain.slice(0, depth), indexes.slice(0, depth), signal);
    return [merged, ...withoutRepeats(indexes.slice(depth))];
  }

  /** Where the index of every layer of a chain is, from the bottom up. */
  async paths(chain: Chain, signal: AbortSignal | undefined): Promise<readonly string[]> {
    return (await this.#resolve(chain, signal)).map(({ path }) => path);
  }

  /** The index of every layer of a chain, from the bottom up, made where missing. */
  async #resolve(chain: Chain, signal: AbortSignal | undefined): Promise<LayerIndex[]> {
    const ids = chainIDs(chain);
    await this.#indexAlone(chain, ids, signal);
    const indexes: LayerIndex[] = [];
    for (const [position, id] of ids.entries()) {
      const known = this.#known.get(id);
      indexes.push(known ?? (await this.#find(chain.slice(0, position + 1), id, indexes, signal)));
    }
    return indexes;
  }

  /** Layers by themselves do not wait for each other. */
  async #indexAlone(chain: Chain, ids: readonly ChainID[], signal: AbortSignal | undefined): Promise<void> {
    const unknown = new Set(chain.filter((_, position) => !this.#known.has(ids[position]!)));
    const results = await Promise.allSettled([...unknown].map((diffID) => this.#makeOwn(diffID, signal)));
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  }

  /** Makes a layer's own index unless it is there or the layer turns out to lean on what is below. */
  async #makeOwn(diffID: DiffID, signal: AbortSignal | undefined): Promise<void> {
    using _ = await this.#locks.acquire(diffID, { signal });
    const path = layerIndexPath(this.#options.root, diffID);
    await requireTar(diffID, this.#options.contentPath(diffID));
    if (this.#leaning.has(diffID) || (await fileSize(path)) !== undefined) return;
    const temporary = temporaryIndex(path);
    try {
      const { standsAlone } = await this.#index(diffID, temporary, undefined, signal);
      if (standsAlone) await placeIndex(temporary, path);
      else this.#leaning.add(diffID);
    } finally {
      await removeIfPresent(temporary);
    }
  }

  async #find(
    chain: Chain,
    id: ChainID,
    below: readonly LayerIndex[],
    signal: AbortSignal | undefined,
  ): Promise<LayerIndex> {
    using _ = await this.#locks.acquire(id, { signal });
    const index =
      this.#known.get(id) ??
      (await this.#own(chain, below, signal)) ??
      (await this.#ofChain(chain, 'chain', (path) => this.#index(chain.at(-1)!, path, { chain, below }, signal)));
    this.#known.set(id, index);
    return index;
  }

  /** The layer's own index, where it says all there is to say in this chain. */
  async #own(
    chain: Chain,
    below: readonly LayerIndex[],
    signal: AbortSignal | undefined,
  ): Promise<LayerIndex | undefined> {
    const diffID = chain.at(-1)!;
    if (this.#leaning.has(diffID)) return undefined;
    const path = layerIndexPath(this.#options.root, diffID);
    const own = readLayerIndex(path, [diffID]);
    if (own === undefined || (isImpliedRoot(own.root) && !isPlainRoot(rootOf(below)))) return undefined;
    if (!(await this.#hasWhiteouts(diffID, signal))) return own;
    const job = { kind: 'inspect-whiteouts', index: path, lower: pathsOf(below) } as const;
    const { whiteouts } = await this.#options.workers.run(job, { signal });
    return whiteouts === 'idle' ? undefined : own;
  }

  /** Most layers have none; the answer is kept beside the index. */
  async #hasWhiteouts(diffID: DiffID, signal: AbortSignal | undefined): Promise<boolean> {
    const index = layerIndexPath(this.#options.root, diffID);
    const known = decodeRecord(await readBounded(recordPath(index), maxRecordBytes))?.whiteouts;
    if (typeof known === 'boolean') return known;
    const result = await this.#options.workers.run({ kind: 'inspect-whiteouts', index }, { signal });
    const whiteouts = result.whiteouts !== 'none';
    await writeAtomic(recordPath(index), JSON.stringify({ version: 1, whiteouts }), { durable: false });
    return whiteouts;
  }

  async #merged(chain: Chain, indexes: readonly LayerIndex[], signal: AbortSignal | undefined): Promise<LayerIndex> {
    using _ = await this.#locks.acquire(`merged ${chainIDs(chain).at(-1)}`, { signal });
    return await this.#ofChain(chain, 'merged', (path) => this.#merge(chain, indexes, path, signal));
  }

  async #ofChain(
    chain: Chain,
    kind: ChainIndexKind,
    make: (temporary: string) => Promise<JobResult>,
  ): Promise<LayerIndex> {
    const path = chainIndexPath(this.#options.root, chainIDs(chain).at(-1)!, kind);
    if ((await fileSize(path)) === undefined) {
      const temporary = temporaryIndex(path);
      try {
        await make(temporary);
        this.#chainFiles.set(path, chain);
        await writeAtomic(recordPath(path), JSON.stringify({ version: 1, chain }));
        await placeIndex(temporary, path);
      } finally {
        await removeIfPresent(temporary);
      }
    }
    const index = readLayerIndex(path, chain);
    if (!index) throw new EngineError('data-loss', `index ${basename(path)} names layers of another chain`);
    return index;
  }

  /** Indexes a tar, by itself or in a chain. */
  async #index(
    diffID: DiffID,
    index: string,
    context: { readonly chain: Chain; readonly below: readonly LayerIndex[] } | undefined,
    signal: AbortSignal | undefined,
  ): Promise<JobResult> {
    const { contentPath, workers } = this.#options;
    const lower = context && { lower: pathsOf(context.below), tars: this.#tars(context.chain) };
    const job = { kind: 'index', tar: contentPath(diffID), tag: layerTag(diffID), index, ...lower } as const;
    return await workers.run(job, { signal });
  }

  async #merge(
    chain: Chain,
    indexes: readonly LayerIndex[],
    index: string,
    signal: AbortSignal | undefined,
  ): Promise<JobResult> {
    const job = { kind: 'merge-indexes', indexes: pathsOf(indexes), index, tars: this.#tars(chain) } as const;
    return await this.#options.workers.run(job, { signal });
  }

  #tars(chain: Chain): Record<string, string> {
    return Object.fromEntries(chain.map((layer) => [layerTag(layer), this.#options.contentPath(layer)]));
  }

  /** Every place where an index of these layers, or of these chains, may be. */
  pathsOf(layers: readonly DiffID[], chains: readonly ChainID[]): string[] {
    const { root } = this.#options;
    return [
      ...layers.map((diffID) => layerIndexPath(root, diffID)),
      ...chains.flatMap((id) => chainIndexKinds.map((kind) => chainIndexPath(root, id, kind))),
    ];
  }

  /** Every place where an index may be that has to do with the layer: its own, and those of chains it is in. */
  pathsThrough(diffID: DiffID): string[] {
    const chains = [...this.#chainFiles].filter(([, chain]) => chain.includes(diffID));
    return [layerIndexPath(this.#options.root, diffID), ...chains.map(([path]) => path)];
  }

  async remove(diffID: DiffID): Promise<void> {
    this.#leaning.delete(diffID);
    const paths = new Set(this.pathsThrough(diffID));
    // Also of chains that never came to be an image's, such as of a pull that broke off.
    for (const [id, { path }] of this.#known) if (paths.has(path)) this.#known.delete(id);
    for (const path of paths) {
      await removeIfPresent(path);
      await removeIfPresent(recordPath(path));
      this.#chainFiles.delete(path);
    }
  }

  async usage(diffID: DiffID): Promise<SnapshotUsage> {
    const own = await fileSize(layerIndexPath(this.#options.root, diffID));
    let [sizeBytes, inodes] = [own ?? 0, own === undefined ? 0 : 1];
    for (const { path, chain } of await this.#chainIndexes()) {
      if (chain.at(-1) !== diffID) continue;
      sizeBytes += (await fileSize(path)) ?? 0;
      inodes++;
    }
    return { sizeBytes, inodes };
  }

  /** Removes the indexes of other layers than these, and what is half made. */
  async recover(keep: ReadonlySet<DiffID>): Promise<void> {
    for (const name of await this.#strays(() => keep)) await rm(join(this.#folder, name), { force: true });
    this.#known.clear();
    this.#leaning.clear();
    this.#chainFiles.clear();
    await this.load();
  }

  /** Files that belong to none of the layers; `known` is asked once the files are listed. */
  async #strays(known: () => ReadonlySet<DiffID> | undefined): Promise<string[]> {
    const entries = await readdir(this.#folder, { withFileTypes: true });
    const chains = await this.#chainIndexes();
    const layers = known();
    if (layers === undefined) return [];
    const own = chains.filter(({ chain }) => chain.every((diffID) => layers.has(diffID)));
    const paths = [...this.pathsOf([...layers], []), ...own.map(({ path }) => path)];
    const names = new Set(paths.flatMap((path) => [basename(path), basename(recordPath(path))]));
    return entries.filter((entry) => entry.isFile() && !names.has(entry.name)).map((entry) => entry.name);
  }

  /** What is a stray at a second look too: an index on its way is a moment without its record. */
  async #lastingStrays(known: () => ReadonlySet<DiffID> | undefined): Promise<string[]> {
    const first = await this.#strays(known);
    if (first.length === 0) return [];
    await delay(secondLookMs);
    const second = new Set(await this.#strays(known));
    return first.filter((name) => second.has(name));
  }

  /** Indexes each layer anew and compares the bytes: the same layer always gives the same index. */
  async *verify(layers: readonly DiffID[], options: VerifyOptions = {}): AsyncGenerator<string> {
    for (const name of options.knownLayers ? await this.#lastingStrays(options.knownLayers) : []) {
      yield `layers/${name}: no layer has this file`;
    }
    const wanted = new Set(layers);
    for (const diffID of wanted) {
      const path = layerIndexPath(this.#options.root, diffID);
      if ((await fileSize(path)) === undefined) continue;
      yield* this.#compare({ diffID, path, options }, (fresh) => this.#index(diffID, fresh, undefined, undefined));
    }
    for (const { path, chain, kind } of await this.#chainIndexes()) {
      const diffID = chain.at(-1)!;
      if (wanted.has(diffID)) {
        yield* this.#compare({ diffID, path, options }, (fresh) => this.#remake(chain, kind, fresh));
      }
    }
  }

  async #remake(chain: Chain, kind: ChainIndexKind, path: string): Promise<JobResult> {
    if (kind === 'merged') return await this.#merge(chain, await this.#resolve(chain, undefined), path, undefined);
    const below = await this.#resolve(chain.slice(0, -1), undefined);
    return await this.#index(chain.at(-1)!, path, { chain, below }, undefined);
  }

  async *#compare(
    { diffID, path, options }: { diffID: DiffID; path: string; options: VerifyOptions },
    make: (temporary: string) => Promise<JobResult>,
  ): AsyncGenerator<string> {
    const temporary = temporaryIndex(path);
    try {
      await make(temporary);
      const { faults } = await this.#options.workers.run({ kind: 'compare-files', left: path, right: temporary });
      const isReplaced = options.repair === true && faults.length > 0;
      // Who has the old one mounted keeps it until the next start.
      if (isReplaced) await placeIndex(temporary, path);
      for (const fault of faults) {
        yield `layer ${diffID}: ${basename(path)}: ${fault}${isReplaced ? ': made anew' : ''}`;
      }
    } catch (error) {
      if (isKind(error, 'canceled')) throw error;
      // Collected meanwhile, index first.
      if ((await fileSize(path)) === undefined) return;
      yield `layer ${diffID}: ${basename(path)}: ${messageOf(error)}`;
    } finally {
      await cleanup('verified index', () => removeIfPresent(temporary));
    }
  }

  async #chainIndexes(): Promise<{ path: string; kind: ChainIndexKind; chain: Chain }[]> {
    const found: { path: string; kind: ChainIndexKind; chain: Chain }[] = [];
    for (const name of await readdir(this.#folder)) {
      const kind = chainIndexKinds.find((word) => name.endsWith(`.${word}.erofs`));
      if (kind === undefined) continue;
      const path = join(this.#folder, name);
      const chain = decodeRecord(await readBounded(recordPath(path), maxRecordBytes))?.chain;
      if (isChain(chain)) found.push({ path, kind, chain });
      else log.warn('index of a chain has no readable record', { name });
    }
    return found;
  }
}

/** What a chain shows as its root: the topmost layer that describes it. */
export function rootOf(indexes: readonly LayerIndex[]): Attributes {
  return indexes.findLast(({ root }) => !isImpliedRoot(root))?.root ?? defaultFolder;
}

/**
 * The kernel stacks nothing twice. Of a layer that is in a chain several times (empty ones often are) only the topmost place counts:
 * whatever a lower one adds or hides, that one adds or hides as well.
 */
function withoutRepeats(indexes: readonly LayerIndex[]): LayerIndex[] {
  const last = new Map(indexes.map((index, position) => [index.path, position]));
  return indexes.filter((index, position) => last.get(index.path) === position);
}

/** Top first. */
function pathsOf(indexes: readonly LayerIndex[]): string[] {
  return indexes.map(({ path }) => path).reverse();
}

function decodeRecord(bytes: Buffer | undefined): { whiteouts?: unknown; chain?: unknown } | undefined {
  try {
    const value = JSON.parse(bytes?.toString() ?? 'null') as Record<string, unknown> | null;
    return value?.['version'] === 1 ? value : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function isChain(value: unknown): value is Chain {
  return Array.isArray(value) && value.length > 0 && value.every((item) => typeof item === 'string' && isDigest(item));
}
