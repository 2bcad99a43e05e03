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
import type { ByteSource } from '#streams';
import { hasChanges, listChanges } from './changes.ts';
import { FolderRemovals } from './folder-removals.ts';
import type { HeldLayers, LayerStore } from './layer-store.ts';
import { LayeredDriver, type LayeredDriverOptions } from './layered-driver.ts';
import type { Marks } from './marks.ts';
import { type MergedFile, mergedRoot } from './merged.ts';
import { removeMountPoint } from './mount-point.ts';
import { noSizeLimit } from './names.ts';
import { type SnapshotRecord, snapshotID } from './records.ts';
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
  SnapshotUsage,
} from './types.ts';
import { marksOf } from './upper.ts';
import { upperTar } from './upper-tar.ts';
import { treeUsage } from './usage.ts';
import { forgetVolatile, type Writable, type WritableFolders } from './writable-folders.ts';
import { WritableParts } from './writable-parts.ts';

export interface OverlayDriverOptions extends LayeredDriverOptions<LayerStore> {
  readonly name: DriverName;
  /** Who stacks the folders: the kernel where it is not said. */
  readonly stackedBy?: 'fuse-overlayfs';
}

/** Snapshots as overlays: layers from a {@link LayerStore}, the writable folder in `snapshots/<id>/upper`. */
export class OverlayDriver extends LayeredDriver implements SnapshotDriver {
  readonly name: DriverName;
  readonly #options: OverlayDriverOptions;
  readonly #marks: Marks;
  readonly #parts: WritableParts;
  readonly #locks = new KeyedLock();
  readonly #mounts: CountedMounts;
  /** What each mounted snapshot stands on, by its target. */
  readonly #held = new Map<string, { readonly layers: HeldLayers; readonly writable: Writable }>();
  readonly #removals: FolderRemovals;

  private constructor(options: OverlayDriverOptions) {
    const form = options.stackedBy === 'fuse-overlayfs' ? 'fuse-overlay' : 'overlay';
    super(options, marksOf({ form }));
    this.name = options.name;
    this.#options = options;
    this.#marks = marksOf({ form });
    this.#parts = new WritableParts(this.records, join(options.runRoot, 'disks'), form);
    this.#removals = new FolderRemovals(options.workers, (folder) => this.records.noteRemoval(folder));
    this.#mounts = new CountedMounts({ unmount: (target) => this.#unmountTarget(target) });
  }

  static async open(options: OverlayDriverOptions): Promise<OverlayDriver> {
    const driver = new OverlayDriver(options);
    await driver.load();
    await driver.#parts.load();
    await mkdir(driver.mountsFolder, { recursive: true, mode: 0o711 });
    for (const empty of driver.#emptyFolders) await mkdir(empty, { recursive: true, mode: 0o755 });
    return driver;
  }

  sizeLimitRefusal(): string | undefined {
    return missingTools(['mkfs.ext4', 'losetup']);
  }

  async prepare(key: string, chain: Chain, options: PrepareOptions = {}): Promise<void> {
    this.#requireDepth(key, chain);
    const { ephemeral = false, mountPoints = [], sizeLimitBytes } = options;
    const refusal = sizeLimitBytes === undefined ? undefined : this.sizeLimitRefusal();
    if (refusal !== undefined) throw noSizeLimit(key, refusal);
    await using layers = await this.layers.hold(chain);
    const init = await this.inits.ensure(chain, layers.folders, mountPoints);
    await this.records.create({ key, chain, kind: 'active', ephemeral, init, sizeLimitBytes }, (folder) =>
      this.#parts.make(folder, sizeLimitBytes, layers.rootAttributes()),
    );
  }

  async persist(key: string): Promise<void> {
    await this.#parts.persist(this.records.get(key));
    await this.records.persist(key);
  }

  async view(key: string, chain: Chain): Promise<void> {
    this.#requireDepth(key, chain);
    await this.layers.unpack(chain);
    await this.records.create({ key, chain, kind: 'view', ephemeral: false }, async () => {});
  }

  /** @throws `failed-precondition`. */
  #requireDepth(key: string, chain: Chain): void {
    const { maxDepth } = this.layers;
    if (chain.length <= maxDepth) return;
    const fact = `${chain.length} layers, the kernel stacks at most ${maxDepth} for the ${this.name} driver`;
    throw new EngineError('failed-precondition', `snapshot ${key}: ${fact}`);
  }

  async mount(key: string, options: MountOptions = {}): Promise<MountedSnapshot> {
    const record = this.records.get(key);
    using _ = await this.#locks.acquire(record.id);
    const target = this.#target(record.id);
    await this.#mounts.hold(target, () => this.#mountFresh(record, target, options));
    return { root: target };
  }

  async #mountFresh(record: SnapshotRecord, target: string, { userNamespace }: MountOptions): Promise<void> {
    await using held = new AsyncDisposableStack();
    const layers = held.use(await this.layers.hold(record.chain));
    const writable = held.use(await this.#parts.hold(record));
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

  async unmount(key: string): Promise<void> {
    const { id } = this.records.get(key);
    using _ = await this.#locks.acquire(id);
    const target = this.#target(id);
    if (!this.#mounts.isHeld(target)) return;
    await this.#mounts.release(target);
    if (!this.#mounts.has(target)) await this.#letGo(target);
  }

  async adopt(key: string): Promise<MountedSnapshot> {
    const record = this.records.get(key);
    using _ = await this.#locks.acquire(record.id);
    const target = this.#target(record.id);
    if (!this.#mounts.has(target)) {
      if (!readMountTable().some((mount) => mount.target === target))
        throw new EngineError('not-found', `adopt snapshot ${key}: nothing is mounted on ${target}`);
      const layers = await this.layers.hold(record.chain);
      this.#held.set(target, { layers, writable: await this.#parts.hold(record) });
    }
    await this.#mounts.hold(target, () => {});
    return { root: target };
  }

  async changes(key: string): Promise<readonly Change[]> {
    const record = this.records.get(key);
    if (record.kind === 'view') return [];
    await using layers = await this.layers.hold(record.chain);
    await using writable = await this.#parts.hold(record);
    return await listChanges(this.#parts.upper(writable), this.#below(record, layers));
  }

  async isChanged(key: string): Promise<boolean> {
    const record = this.records.get(key);
    if (record.kind === 'view') return false;
    await using layers = await this.layers.hold(record.chain);
    await using writable = await this.#parts.hold(record);
    return await hasChanges(this.#parts.upper(writable), this.#below(record, layers));
  }

  async *diff(key: string, options: DiffOptions = {}): ByteSource {
    const record = this.records.get(key);
    if (record.kind === 'view') throw new EngineError('failed-precondition', `diff snapshot ${key}: it is a view`);
    await using layers = await this.layers.hold(record.chain);
    await using writable = await this.#parts.hold(record);
    const below = this.#stack(record, layers);
    yield* upperTar(
      this.workers,
      { upper: this.#parts.upper(writable), below, root: layers.rootAttributes() },
      options,
    );
  }

  /** What a snapshot stands on, top first. */
  #stack({ init }: SnapshotRecord, { folders }: Pick<HeldLayers, 'folders'>): readonly string[] {
    return init === undefined ? folders : [this.inits.path(init), ...folders];
  }

  #below(record: SnapshotRecord, layers: HeldLayers): MergedFile | undefined {
    return mergedRoot(this.#stack(record, layers).map(bytesFromUtf8), this.#marks);
  }

  async folders(key: string): Promise<Readonly<Record<string, string>>> {
    const record = this.records.get(key);
    const { id, kind } = record;
    const layers = this.#held.get(this.#target(id))?.layers ?? { folders: await this.#places(record.chain) };
    const lower = this.#stack(record, layers).join(':');
    const merged = { ...(lower === '' ? {} : { LowerDir: lower }), MergedDir: this.#target(id) };
    if (kind === 'view') return merged;
    const { upper, work } = this.#parts.folders(record);
    return { ...merged, UpperDir: upper, WorkDir: work };
  }

  /** None where a layer is damaged: who looks at something learns the rest. */
  async #places(chain: Chain): Promise<readonly string[]> {
    try {
      return await this.layers.places(chain);
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
    const record = this.records.get(key);
    let usage: SnapshotUsage = { sizeBytes: 0, inodes: 0 };
    if (record.kind === 'view') return usage;
    await using writable = await this.#parts.hold(record);
    for await (const sum of inSlices(treeUsage(this.#parts.upper(writable)))) usage = sum;
    return usage;
  }

  async remove(key: string): Promise<void> {
    // One without a readable record is removed too: a power cut may leave that.
    const id = snapshotID(key);
    using _ = await this.#locks.acquire(id);
    const target = this.#target(id);
    if (this.#mounts.has(target)) await this.#mounts.force(target);
    await this.#letGo(target);
    await this.#parts.remove(id);
    const folder = await this.records.detach(id);
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

  async recover(keep: KeepSets): Promise<void> {
    const kept = new Set([...keep.mounted].map((key) => this.#target(snapshotID(key))));
    for (const { target } of mountsBelow(this.mountsFolder)) {
      if (kept.has(target) || this.#mounts.has(target)) continue;
      await this.#unmountTarget(target);
      await removeMountPoint(target);
    }
    await this.#parts.recover(new Set([...keep.mounted].map(snapshotID)));
    for (const { key } of this.records.list()) {
      if (!keep.snapshots.has(key)) await this.remove(key);
    }
    for (const folder of await this.records.leftovers(keep.snapshots)) {
      await unmountBelow(folder);
      await rm(folder, { recursive: true, force: true });
    }
    await this.inits.recover(new Set(this.records.list().flatMap(({ init }) => init ?? [])));
    const mounted = this.records.list().filter(({ key }) => keep.mounted.has(key));
    await this.layers.recover(
      keep.layers,
      mounted.map(({ chain }) => chain),
    );
  }

  /** Mounts that somebody holds stay for the next daemon to adopt; everything else goes. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#removals.settled();
    await this.layers[Symbol.asyncDispose]();
    await this.workers[Symbol.asyncDispose]();
  }

  /** Unmounting writes the upper filesystem out, so it is done beside the event loop; a volatile mount writes nothing. */
  async #unmountTarget(target: string): Promise<void> {
    const id = target.slice(this.mountsFolder.length + 1).split('/')[0]!;
    const isVolatile = this.records.list().some((record) => record.id === id && record.ephemeral);
    if (!isVolatile && (await this.#unmountBeside(target))) return;
    await unmount(target);
  }

  async #unmountBeside(target: string): Promise<boolean> {
    try {
      await this.workers.run({ kind: 'unmount', target });
      return true;
    } catch (error) {
      log.debug('unmount snapshot: trying again with patience', { target, error });
      return false;
    }
  }

  get #emptyFolders(): string[] {
    return ['a', 'b'].map((name) => join(this.#options.runRoot, 'empty', name));
  }

  #target(id: string): string {
    return `${this.mountsFolder}/${id}/merged`;
  }
}

/** @throws `failed-precondition` for other IDs: what a process serves the kernel cannot show so. */
async function mountFuse(overlay: OverlaySpec, userNamespace: number | undefined): Promise<void> {
  if (userNamespace !== undefined)
    throw new EngineError('failed-precondition', 'fuse-overlayfs cannot show a snapshot under other IDs');
  await mountFuseOverlay(overlay);
}
