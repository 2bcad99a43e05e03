import { randomBytes } from 'node:crypto';
import { mkdir, readdir, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { bytesFromUtf8 } from '#archive';
import { cleanup, KeyedLock } from '#concurrency';
import { EngineError, isErrno, isKind, messageOf } from '#errdefs';
import { fsyncFolder, readBounded, writeAtomic } from '#files';
import { overlayDepthLimit } from '#mount';
import { type ChainID, chainIDs, type DiffID, isDigest } from '#oci';
import { makeSpreadFolder } from '#sys';
import { readAttributes } from './attributes.ts';
import { defaultFolder } from './create.ts';
import { digestName } from './digest-name.ts';
import type { IndexStore } from './index-store.ts';
import type { HeldLayers, LayerStore } from './layer-store.ts';
import type { JobResult } from './protocol.ts';
import type { Trees } from './trees.ts';
import type { Chain, SnapshotUsage, VerifyOptions } from './types.ts';
import { marksOf } from './upper.ts';
import type { SnapshotWorkers } from './workers.ts';

const recordName = 'layer.json';
const maxRecordBytes = 1 << 20;

export interface UnpackedLayersOptions {
  /** The driver's own folder below the data root. */
  readonly folder: string;
  /** Each layer's own files, to be stacked by the kernel or by a process. Trees: all of each chain. */
  readonly form: 'overlay' | 'fuse-overlay' | Trees;
  readonly contentPath: (diffID: DiffID) => string;
  readonly workers: SnapshotWorkers;
  /** Made only for those who look into an image. */
  readonly indexes: IndexStore;
}

interface LayerRecord {
  readonly chain: Chain;
  readonly usage: SnapshotUsage;
}

/** Layers as trees of files, by chainID: `<chainID>/diff` with a record beside it. A folder under its chainID is whole. */
export class UnpackedLayers implements LayerStore {
  readonly maxDepth: number;
  readonly #options: UnpackedLayersOptions;
  /** Each folder's chain; undefined where its record is unreadable, until the start-up pass removes it. */
  readonly #known = new Map<ChainID, Chain | undefined>();
  readonly #locks = new KeyedLock();

  constructor(options: UnpackedLayersOptions) {
    this.#options = options;
    // One folder of the stack is kept for mount points.
    this.maxDepth = typeof options.form === 'string' ? overlayDepthLimit - 1 : Number.POSITIVE_INFINITY;
  }

  async load(): Promise<void> {
    await this.#options.indexes.load();
    await makeSpreadFolder(this.#options.folder, { mode: 0o700 });
    for (const name of await this.#names()) this.#known.set(chainOf(name), (await this.#record(name))?.chain);
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  async unpack(chain: Chain, options: { signal?: AbortSignal | undefined } = {}): Promise<void> {
    const ids = chainIDs(chain);
    for (const [index, id] of ids.entries()) {
      if (this.#known.has(id)) continue;
      using _ = await this.#locks.acquire(id, options);
      if (!this.#known.has(id)) await this.#make(chain.slice(0, index + 1), options.signal);
    }
  }

  async hold(chain: Chain): Promise<HeldLayers> {
    await this.unpack(chain);
    const folders = this.#folders(chain);
    return {
      folders,
      rootAttributes: () => (folders[0] === undefined ? defaultFolder : readAttributes(bytesFromUtf8(folders[0]))),
      [Symbol.asyncDispose]: async () => {},
    };
  }

  places(chain: Chain): Promise<readonly string[]> {
    return Promise.resolve(this.#folders(chain));
  }

  /** Top first. A plain tree holds its whole chain. */
  #folders(chain: Chain): string[] {
    const ids = chainIDs(chain);
    const used = typeof this.#options.form === 'string' ? ids.toReversed() : ids.slice(-1);
    return used.map((id) => join(this.#path(id), 'diff'));
  }

  #path(id: ChainID): string {
    return join(this.#options.folder, digestName(id));
  }

  async #make(chain: Chain, signal: AbortSignal | undefined): Promise<void> {
    const id = chainIDs(chain).at(-1)!;
    const temporary = join(this.#options.folder, `.new-${randomBytes(8).toString('hex')}`);
    try {
      const { sizeBytes, inodes } = await this.#fill(chain, temporary, signal);
      const record: LayerRecord = { chain, usage: { sizeBytes, inodes } };
      await writeAtomic(join(temporary, recordName), JSON.stringify({ version: 1, ...record }));
      await rename(temporary, this.#path(id));
      await fsyncFolder(this.#options.folder);
    } catch (error) {
      await cleanup('unpacked layer', () => this.#removeTree(temporary));
      throw error;
    }
    this.#known.set(id, chain);
  }

  async #fill(chain: Chain, temporary: string, signal: AbortSignal | undefined): Promise<JobResult> {
    const { form, contentPath, workers } = this.#options;
    const diffID = chain.at(-1)!;
    const tar = contentPath(diffID);
    await requireTar(diffID, tar);
    await mkdir(temporary, { mode: 0o700 });
    const target = join(temporary, 'diff');
    const below = this.#folders(chain.slice(0, -1));
    if (typeof form === 'string') {
      await mkdir(target, { mode: 0o700 });
      return await workers.run({ kind: 'unpack-overlay', tar, target, below, marks: marksOf({ form }) }, { signal });
    }
    const [parent] = below;
    if (parent === undefined) await form.create(target);
    else await form.clone(parent, target, { signal });
    const job = { kind: 'unpack-plain', tar, target, isBottom: parent === undefined, counts: countsOf(form) } as const;
    return await workers.run(job, { signal });
  }

  /** Every tree the layer is in, also those of chains that never came to be an image's. */
  async remove(diffID: DiffID): Promise<void> {
    const chains = [...this.#known].filter(([, chain]) => chain?.includes(diffID));
    for (const [id] of chains) await this.#removeChain(id);
    await this.#options.indexes.remove(diffID);
  }

  indexes(chain: Chain, signal: AbortSignal | undefined): Promise<readonly string[]> {
    return this.#options.indexes.paths(chain, signal);
  }

  async #removeChain(id: ChainID): Promise<void> {
    using _ = await this.#locks.acquire(id);
    this.#known.delete(id);
    const temporary = join(this.#options.folder, `.removed-${randomBytes(8).toString('hex')}`);
    try {
      await rename(this.#path(id), temporary);
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return;
      throw error;
    }
    await this.#removeTree(temporary);
  }

  async #removeTree(path: string): Promise<void> {
    const { form, workers } = this.#options;
    if (typeof form === 'string') await workers.run({ kind: 'remove-tree', path });
    else await form.remove(path);
  }

  async usage(diffID: DiffID): Promise<SnapshotUsage> {
    let { sizeBytes, inodes } = await this.#options.indexes.usage(diffID);
    for (const name of await this.#names()) {
      const record = await this.#record(name);
      if (record?.chain.at(-1) !== diffID) continue;
      sizeBytes += record.usage.sizeBytes;
      inodes += record.usage.inodes;
    }
    return { sizeBytes, inodes };
  }

  async recover(keep: ReadonlySet<DiffID>): Promise<void> {
    for (const name of await readdir(this.#options.folder)) {
      if (this.#known.get(chainOf(name))?.every((diffID) => keep.has(diffID))) continue;
      this.#known.delete(chainOf(name));
      await this.#removeTree(join(this.#options.folder, name));
    }
    await this.#options.indexes.recover(keep);
  }

  /** Unpacks each tree anew beside the one in use and compares the two. */
  async *verify(layers: readonly DiffID[], options: VerifyOptions = {}): AsyncGenerator<string> {
    const wanted = new Set(layers);
    const names = await this.#names();
    const known = options.knownLayers?.();
    for (const name of names) {
      const record = await this.#record(name);
      if (known && record && !record.chain.every((diffID) => known.has(diffID)))
        yield `layers/${name}: no layer has this folder`;
      else if (record === undefined) yield `layer ${name}: its record is missing or unreadable`;
      else if (wanted.has(record.chain.at(-1)!)) yield* this.#verifyChain(record.chain);
    }
    yield* this.#options.indexes.verify(layers, options);
  }

  async *#verifyChain(chain: Chain): AsyncGenerator<string> {
    const id = chainIDs(chain).at(-1)!;
    const temporary = join(this.#options.folder, `.verify-${randomBytes(8).toString('hex')}`);
    try {
      await this.#fill(chain, temporary, undefined);
      const [left, right] = [join(this.#path(id), 'diff'), join(temporary, 'diff')];
      const { faults } = await this.#options.workers.run({ kind: 'compare-trees', left, right });
      for (const fault of faults) yield `layer ${id}: ${fault}`;
    } catch (error) {
      if (isKind(error, 'canceled')) throw error;
      yield `layer ${id}: ${messageOf(error)}`;
    } finally {
      await cleanup('verified layer', () => this.#removeTree(temporary));
    }
  }

  async #names(): Promise<string[]> {
    return (await readdir(this.#options.folder)).filter((name) => !name.startsWith('.'));
  }

  async #record(name: string): Promise<LayerRecord | undefined> {
    const bytes = await readBounded(join(this.#options.folder, name, recordName), maxRecordBytes);
    return bytes && decodeRecord(bytes.toString());
  }
}

const countsOf = (trees: Trees) => (trees.shares ? 'layer' : 'tree');
const chainOf = (name: string) => name.replace('-', ':') as ChainID;

/** @throws `data-loss` when the content store has lost a layer. */
export async function requireTar(diffID: DiffID, path: string): Promise<void> {
  try {
    await stat(path);
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
    throw new EngineError('data-loss', `unpack layer ${diffID}: its tar is missing`, { cause: error });
  }
}

function decodeRecord(text: string): LayerRecord | undefined {
  const value = parseObject(text);
  const { version, chain, usage } = value;
  if (version !== 1 || !isChain(chain) || typeof usage !== 'object' || usage === null) return undefined;
  const { sizeBytes, inodes } = usage as Partial<SnapshotUsage>;
  if (typeof sizeBytes !== 'number' || typeof inodes !== 'number') return undefined;
  return { chain, usage: { sizeBytes, inodes } };
}

function isChain(value: unknown): value is Chain {
  return Array.isArray(value) && value.every((item) => typeof item === 'string' && isDigest(item));
}

function parseObject(text: string): Partial<Record<string, unknown>> {
  try {
    return (JSON.parse(text) ?? {}) as Partial<Record<string, unknown>>;
  } catch (error) {
    if (error instanceof SyntaxError) return {};
    throw error;
  }
}
