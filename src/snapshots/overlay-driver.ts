import { mkdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { bytesFromUtf8 } from '#archive';
import { inSlices, KeyedLock } from '#concurrency';
import { EngineError } from '#errdefs';
import { log } from '#log';
import {
  CountedMounts,
  mountFuseOverlay,
  mountMappedOverlay,
  mountOverlay,
  mountsBelow,
  type OverlaySpec,
  readMountTable,
  unmount,
  unmountBelow,
} from '#mount';
import type { ChainID, DiffID } from '#oci';
import type { ByteSource } from '#streams';
import { hasChanges, listChanges } from './changes.ts';
import { diffTar } from './diff-tar.ts';
import { Disks } from './disks.ts';
import { FolderRemovals } from './folder-removals.ts';
import { InitLayers } from './init-layers.ts';
import type { HeldLayers, LayerStore } from './layer-store.ts';
import { type MergedFile, mergedRoot } from './merged.ts';
import { removeMountPoint } from './mount-point.ts';
import { noSizeLimit } from './names.ts';
import { type SnapshotRecord, SnapshotRecords, snapshotID } from './records.ts';
import { missingTools } from './tools.ts';
import type {
  Chain,
  Change,
  DiffOptions,
  DriverName,
  KeepSets,
  MountedSnapshot,
  MountOptions,
  PrepareOptions,
  SnapshotDriver,
  SnapshotInfo,
  SnapshotUsage,
  VerifyOptions,
} from './types.ts';
import type { Upper } from './upper.ts';
import { treeUsage } from './usage.ts';
import type { SnapshotWorkers } from './workers.ts';
import {
  forgetVolatile,
  makeWritable,
  upperOf,
  type Writable,
  type WritableFolders,
  writableIn,
} from './writable-folders.ts';

export interface OverlayDriverOptions {
  readonly name: DriverName;
  /** Rows of `docker info`. */
  readonly status: readonly (readonly [string, string])[];
  readonly root: string;
  readonly runRoot: string;
  readonly layers: LayerStore;
  /** Who stacks the folders: the kernel where it is not said. */
  readonly stackedBy?: 'fuse-overlayfs';
  readonly workers: SnapshotWorkers;
}

/** Snapshots as overlays: layers from a {@link LayerStore}, the writable folder in `snapshots/<id>/upper`. */
export class OverlayDriver implements SnapshotDriver {
  readonly name: DriverName;
  readonly #options: OverlayDriverOptions;
  readonly #layers: LayerStore;
  readonly #records: SnapshotRecords;
  readonly #inits: InitLayers;
  readonly #disks: Disks;
  readonly #locks = new KeyedLock();
  readonly #mounts: CountedMounts;
  /** What each mounted snapshot stands on, by its target. */
  readonly #held = new Map<string, { readonly layers: HeldLayers; readonly writable: Writable }>();
  readonly #removals: FolderRemovals;

  private constructor(options: OverlayDriverOptions) {
    this.name = options.name;
    this.#options = options;
    this.#layers = options.layers;
    this.#records = new SnapshotRecords(join(options.root, 'snapshots'));
    this.#inits = new InitLayers(join(options.root, 'layers', 'init'));
    this.#disks = new Disks(join(options.runRoot, 'disks'));
    this.#removals = new FolderRemovals(options.workers);
    this.#mounts = new CountedMounts({ unmount: (target) => this.#unmountTarget(target) });
  }

  static async open(options: OverlayDriverOptions): Promise<OverlayDriver> {
    const driver = new OverlayDriver(options);
    await driver.#records.load();
    await driver.#inits.load();
    await driver.#disks.load();
    await mkdir(driver.#mountsFolder, { recursive: true, mode: 0o711 });
    for (const empty of driver.#emptyFolders) await mkdir(empty, { recursive: true, mode: 0o755 });
    return driver;
  }

  status(): readonly (readonly [string, string])[] {
    return this.#options.status;
  }

  unpack(chain: Chain, options: { signal?: AbortSignal | undefined } = {}): Promise<void> {
    return this.#layers.unpack(chain, options);
  }

  async letGo(diffID: DiffID): Promise<void> {
    await this.#layers.letGo?.(diffID);
  }

  async removeLayer(diffID: DiffID, chains: readonly ChainID[]): Promise<void> {
    await this.#layers.remove(diffID);
    await this.#inits.remove(chains);
  }

  layerUsage(diffID: DiffID): Promise<SnapshotUsage> {
    return this.#layers.usage(diffID);
  }

  layerIndexes(chain: Chain, options: { signal?: AbortSignal | undefined } = {}): Promise<readonly string[]> {
    return this.#layers.indexes(chain, options.signal);
  }

  verify(layers: readonly DiffID[], options?: VerifyOptions): AsyncIterable<string> {
    return this.#layers.verify(layers, options);
  }

  sizeLimitRefusal(): string | undefined {
    return missingTools(['mkfs.ext4', 'losetup']);
  }

  async prepare(key: string, chain: Chain, options: PrepareOptions = {}): Promise<void> {
    this.#requireDepth(key, chain);
    const { ephemeral = false, mountPoints = [], sizeLimitBytes } = options;
    const refusal = sizeLimitBytes === undefined ? undefined : this.sizeLimitRefusal();
    if (refusal !== undefined) throw noSizeLimit(key, refusal);
    await using layers = await this.#layers.hold(chain);
    const init = await this.#inits.ensure(chain, layers.folders, mountPoints);
    const fill = (folder: string) => makeWritable(folder, layers.rootAttributes());
    await this.#records.create({ key, chain, kind: 'active', ephemeral, init, sizeLimitBytes }, (folder) =>
      sizeLimitBytes === undefined ? fill(folder) : this.#disks.make(folder, sizeLimitBytes, fill),
    );
  }

  async persist(key: string): Promise<void> {
    const { id, sizeLimitBytes } = this.#records.get(key);
    if (sizeLimitBytes !== undefined) await this.#disks.persist(this.#records.path(id));
    await this.#records.persist(key);
  }

  async view(key: string, chain: Chain): Promise<void> {
    this.#requireDepth(key, chain);
    await this.#layers.unpack(chain);
    await this.#records.create({ key, chain, kind: 'view', ephemeral: false }, async () => {});
  }

  /** @throws `failed-precondition`. */
  #requireDepth(key: string, chain: Chain): void {
    const { maxDepth } = this.#layers;
    if (chain.length <= maxDepth) return;
    const fact = `${chain.length} layers, the kernel stacks at most ${maxDepth} for the ${this.name} driver`;
    throw new EngineError('failed-precondition', `snapshot ${key}: ${fact}`);
  }

  async mount(key: string, options: MountOptions = {}): Promise<MountedSnapshot> {
    const record = this.#records.get(key);
    using _ = await this.#locks.acquire(record.id);
    const target = this.#target(record.id);
    await this.#mounts.hold(target, () => this.#mountFresh(record, target, options));
    return { root: target };
  }

  async #mountFresh(record: SnapshotRecord, target: string, { userNamespace }: MountOptions): Promise<void> {
    await using held = new AsyncDisposableStack();
    const layers = held.use(await this.#layers.hold(record.chain));
    const writable = held.use(await this.#writable(record));
    await mkdir(target, { recursive: true, mode: 0o755 });
    if (record.ephemeral) await forgetVolatile(writable);
    const overlay = this.#overlayOf(record, this.#stack(record, layers), { ...writable, target });
    if (this.#options.stackedBy === 'fuse-overlayfs') await mountFuse(overlay, userNamespace);
    else if (userNamespace === undefined) mountOverlay(overlay);
    else await mountMappedOverlay(overlay, { userNamespace, staging: join(dirname(target), 'ids') });
    this.#held.set(target, { layers, writable });
    held.move();
  }

  #overlayOf(record: SnapshotRecord, folders: readonly string[], at: WritableFolders & { readonly target: string }) {
    const { upper, work, target } = at;
    if (record.kind === 'view') {
      // overlayfs wants two lower folders where nothing is writable.
      const lowers = folders.length > 1 ? folders : [...folders, ...this.#emptyFolders].slice(0, 2);
      return { lowers, target };
    }
    const writable = { upper, work, volatile: record.ephemeral };
    return { lowers: folders.length > 0 ? folders : this.#emptyFolders.slice(0, 1), writable, target };
  }

  /** Where a snapshot keeps what is written to it, there until disposed. */
  async #writable(record: SnapshotRecord): Promise<Writable> {
    const folders = this.#writableFolders(record);
    if (record.sizeLimitBytes === undefined) return { ...folders, [Symbol.asyncDispose]: async () => {} };
    const disk = await this.#disks.hold(record.id, this.#records.path(record.id));
    return { ...folders, [Symbol.asyncDispose]: () => disk[Symbol.asyncDispose]() };
  }

  #writableFolders({ id, sizeLimitBytes }: SnapshotRecord): WritableFolders {
    return writableIn(sizeLimitBytes === undefined ? this.#records.path(id) : this.#disks.path(id));
  }

  async unmount(key: string): Promise<void> {
    const { id } = this.#records.get(key);
    using _ = await this.#locks.acquire(id);
    const target = this.#target(id);
    if (!this.#mounts.isHeld(target)) return;
    await this.#mounts.release(target);
    if (!this.#mounts.has(target)) await this.#letGo(target);
  }

  async adopt(key: string): Promise<MountedSnapshot> {
    const record = this.#records.get(key);
    using _ = await this.#locks.acquire(record.id);
    const target = this.#target(record.id);
    if (!this.#mounts.has(target)) {
      if (!readMountTable().some((mount) => mount.target === target))
        throw new EngineError('not-found', `adopt snapshot ${key}: nothing is mounted on ${target}`);
      const layers = await this.#layers.hold(record.chain);
      this.#held.set(target, { layers, writable: await this.#writable(record) });
    }
    await this.#mounts.hold(target, () => {});
    return { root: target };
  }

  async changes(key: string): Promise<readonly Change[]> {
    const record = this.#records.get(key);
    if (record.kind === 'view') return [];
    await using layers = await this.#layers.hold(record.chain);
    await using writable = await this.#writable(record);
    return await listChanges(this.#upperOf(writable), this.#below(record, layers));
  }

  async isChanged(key: string): Promise<boolean> {
    const record = this.#records.get(key);
    if (record.kind === 'view') return false;
    await using layers = await this.#layers.hold(record.chain);
    await using writable = await this.#writable(record);
    return await hasChanges(this.#upperOf(writable), this.#below(record, layers));
  }

  async *diff(key: string, options: DiffOptions = {}): ByteSource {
    const record = this.#records.get(key);
    if (record.kind === 'view') throw new EngineError('failed-precondition', `diff snapshot ${key}: it is a view`);
    await using layers = await this.#layers.hold(record.chain);
    await using writable = await this.#writable(record);
    const below = this.#below(record, layers);
    yield* diffTar(this.#upperOf(writable), { below, root: layers.rootAttributes() }, options);
  }

  #upperOf(writable: WritableFolders): Upper {
    return upperOf(writable, this.#options.stackedBy === 'fuse-overlayfs' ? 'fuse-overlay' : 'overlay');
  }

  /** What a snapshot stands on, top first. */
  #stack({ init }: SnapshotRecord, { folders }: Pick<HeldLayers, 'folders'>): readonly string[] {
    return init === undefined ? folders : [this.#inits.path(init), ...folders];
  }

  #below(record: SnapshotRecord, layers: HeldLayers): MergedFile | undefined {
    return mergedRoot(this.#stack(record, layers).map(bytesFromUtf8));
  }

  async folders(key: string): Promise<Readonly<Record<string, string>>> {
    const record = this.#records.get(key);
    const { id, kind } = record;
    const layers = this.#held.get(this.#target(id))?.layers ?? { folders: await this.#places(record.chain) };
    const lower = this.#stack(record, layers).join(':');
    const merged = { ...(lower === '' ? {} : { LowerDir: lower }), MergedDir: this.#target(id) };
    if (kind === 'view') return merged;
    const { upper, work } = this.#writableFolders(record);
    return { ...merged, UpperDir: upper, WorkDir: work };
  }

  /** None where a layer is damaged: who looks at something learns the rest. */
  async #places(chain: Chain): Promise<readonly string[]> {
    try {
      return await this.#layers.places(chain);
    } catch (error) {
      log.debug('the folders of a chain are not known', { error });
      return [];
    }
  }

  async chainFolders(chain: Chain): Promise<Readonly<Record<string, string>> | null> {
    const [top, ...below] = await this.#places(chain);
    if (top === undefined) return null;
    return { ...(below.length > 0 ? { LowerDir: below.join(':') } : {}), UpperDir: top };
  }

  async usage(key: string): Promise<SnapshotUsage> {
    const record = this.#records.get(key);
    let usage: SnapshotUsage = { sizeBytes: 0, inodes: 0 };
    if (record.kind === 'view') return usage;
    await using writable = await this.#writable(record);
    for await (const sum of inSlices(treeUsage(this.#upperOf(writable)))) usage = sum;
    return usage;
  }

  async remove(key: string): Promise<void> {
    // One without a readable record is removed too: a power cut may leave that.
    const id = snapshotID(key);
    using _ = await this.#locks.acquire(id);
    const target = this.#target(id);
    if (this.#mounts.has(target)) await this.#mounts.force(target);
    await this.#letGo(target);
    await this.#disks.remove(id);
    const folder = await this.#records.detach(id);
    // The snapshot is gone as soon as its folder is renamed.
    if (folder) this.#removals.begin(folder);
  }

  async #letGo(target: string): Promise<void> {
    const held = this.#held.get(target);
    this.#held.delete(target);
    await held?.writable[Symbol.asyncDispose]();
    await held?.layers[Symbol.asyncDispose]();
    await removeMountPoint(target);
  }

  settled(): Promise<void> {
    return this.#removals.settled();
  }

  list(): Promise<readonly SnapshotInfo[]> {
    return Promise.resolve(this.#records.list().map(({ key, kind, chain }) => ({ key, kind, chain })));
  }

  async recover(keep: KeepSets): Promise<void> {
    const kept = new Set([...keep.mounted].map((key) => this.#target(snapshotID(key))));
    for (const { target } of mountsBelow(this.#mountsFolder)) {
      if (kept.has(target) || this.#mounts.has(target)) continue;
      await this.#unmountTarget(target);
      await removeMountPoint(target);
    }
    await this.#disks.recover(new Set([...keep.mounted].map(snapshotID)));
    for (const { key } of this.#records.list()) {
      if (!keep.snapshots.has(key)) await this.remove(key);
    }
    for (const folder of await this.#records.leftovers(keep.snapshots)) {
      await unmountBelow(folder);
      await rm(folder, { recursive: true, force: true });
    }
    await this.#inits.recover(new Set(this.#records.list().flatMap(({ init }) => init ?? [])));
    const mounted = this.#records.list().filter(({ key }) => keep.mounted.has(key));
    await this.#layers.recover(
      keep.layers,
      mounted.map(({ chain }) => chain),
    );
  }

  /** Mounts that somebody holds stay for the next daemon to adopt; everything else goes. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#removals.settled();
    await this.#layers[Symbol.asyncDispose]();
    await this.#options.workers[Symbol.asyncDispose]();
  }

  /** Unmounting writes the upper filesystem out, so it is done beside the event loop; a volatile mount writes nothing. */
  async #unmountTarget(target: string): Promise<void> {
    const id = target.slice(this.#mountsFolder.length + 1).split('/')[0]!;
    const isVolatile = this.#records.list().some((record) => record.id === id && record.ephemeral);
    if (!isVolatile && (await this.#unmountBeside(target))) return;
    await unmount(target);
  }

  async #unmountBeside(target: string): Promise<boolean> {
    try {
      await this.#options.workers.run({ kind: 'unmount', target });
      return true;
    } catch (error) {
      log.debug('unmount snapshot: trying again with patience', { target, error });
      return false;
    }
  }

  get #mountsFolder(): string {
    return join(this.#options.runRoot, 'mounts');
  }

  get #emptyFolders(): string[] {
    return ['a', 'b'].map((name) => join(this.#options.runRoot, 'empty', name));
  }

  #target(id: string): string {
    return join(this.#mountsFolder, id, 'merged');
  }
}

/** @throws `failed-precondition` for other IDs: what a process serves the kernel cannot show so. */
async function mountFuse(overlay: OverlaySpec, userNamespace: number | undefined): Promise<void> {
  if (userNamespace !== undefined)
    throw new EngineError('failed-precondition', 'fuse-overlayfs cannot show a snapshot under other IDs');
  await mountFuseOverlay(overlay);
}
