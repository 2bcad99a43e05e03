import { mkdirSync, rmdirSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { bytesFromUtf8 } from '#archive';
import { inSlices } from '#concurrency';
import { EngineError } from '#errdefs';
import { CountedMounts, mountMapped, mountsBelow, unmount } from '#mount';
import type { ChainID, DiffID } from '#oci';
import type { ByteSource } from '#streams';
import { AbortFlag } from './abort-flag.ts';
import { writeAttributes } from './attributes.ts';
import { hasChanges, listChanges, withParents } from './changes.ts';
import { compareUpper, type Upper } from './compare-upper.ts';
import { defaultFolder } from './create.ts';
import { diffTar } from './diff-tar.ts';
import { InitLayers, treeOf } from './init-layers.ts';
import { type MergedFile, mergedRoot } from './merged.ts';
import { removeMountPoint } from './mount-point.ts';
import { noSizeLimit } from './names.ts';
import { SnapshotRecords, snapshotID } from './records.ts';

import type {
  Chain,
  Change,
  DiffOptions,
  KeepSets,
  MountedSnapshot,
  MountOptions,
  MountPoint,
  PrepareOptions,
  SnapshotDriver,
  SnapshotInfo,
  SnapshotUsage,
  VerifyOptions,
} from './types.ts';
import type { UnpackedLayers } from './unpacked-layers.ts';
import type { SnapshotWorkers } from './workers.ts';
import { writePlainLayer } from './write-plain.ts';

export interface VfsDriverOptions {
  readonly status: readonly (readonly [string, string])[];
  readonly root: string;
  readonly runRoot: string;
  /** In plain form. */
  readonly layers: UnpackedLayers;
  readonly workers: SnapshotWorkers;
}

/** Snapshots as full copies of their chain: works everywhere, costs the most, and is what every other driver is compared with. */
export class VfsDriver implements SnapshotDriver {
  readonly name = 'vfs';
  readonly #options: VfsDriverOptions;
  readonly #layers: UnpackedLayers;
  readonly #records: SnapshotRecords;
  readonly #inits: InitLayers;
  /** Those that are shown under other IDs. */
  readonly #mounts = new CountedMounts();

  private constructor(options: VfsDriverOptions) {
    this.#options = options;
    this.#layers = options.layers;
    this.#records = new SnapshotRecords(join(options.root, 'snapshots'));
    this.#inits = new InitLayers(join(options.root, 'layers', 'init'));
  }

  static async open(options: VfsDriverOptions): Promise<VfsDriver> {
    const driver = new VfsDriver(options);
    await driver.#records.load();
    await driver.#inits.load();
    await mkdir(driver.#mountsFolder, { recursive: true, mode: 0o711 });
    return driver;
  }

  status(): readonly (readonly [string, string])[] {
    return this.#options.status;
  }

  unpack(chain: Chain, options: { signal?: AbortSignal | undefined } = {}): Promise<void> {
    return this.#layers.unpack(chain, options);
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

  sizeLimitRefusal(): string {
    return 'the vfs driver makes plain copies';
  }

  async prepare(key: string, chain: Chain, options: PrepareOptions = {}): Promise<void> {
    if (options.sizeLimitBytes !== undefined) throw noSizeLimit(key, this.sizeLimitRefusal());
    return this.#create({ key, chain, kind: 'active' }, options.mountPoints ?? []);
  }

  /** All of it is a copy that was made just now. */
  async persist(key: string): Promise<void> {
    await this.#options.workers.run({ kind: 'sync-file-system', path: this.#rootOf(key) });
  }

  view(key: string, chain: Chain): Promise<void> {
    return this.#create({ key, chain, kind: 'view' }, []);
  }

  async #create(snapshot: SnapshotInfo, points: readonly MountPoint[]): Promise<void> {
    const source = await this.#chainFolder(snapshot.chain);
    const init = await this.#inits.ensure(snapshot.chain, source ? [source] : [], points);
    await this.#records.create({ ...snapshot, ephemeral: false, init }, async (folder) => {
      const target = join(folder, 'root');
      await mkdir(target, { mode: 0o755 });
      if (source) await this.#options.workers.run({ kind: 'copy-tree', source, target });
      else writeAttributes(bytesFromUtf8(target), defaultFolder);
      if (init !== undefined) putMountPoints(target, points, join(folder, 'links'));
    });
  }

  async #chainFolder(chain: Chain): Promise<string | undefined> {
    await using layers = await this.#layers.hold(chain);
    return layers.folders[0];
  }

  /** Without other IDs nothing is mounted, so nothing is counted: the root is there while the snapshot is. */
  async mount(key: string, { userNamespace }: MountOptions = {}): Promise<MountedSnapshot> {
    const root = this.#rootOf(key);
    if (userNamespace === undefined) return { root };
    const target = this.#target(key);
    await this.#mounts.hold(target, async () => {
      await mkdir(target, { recursive: true, mode: 0o755 });
      mountMapped(root, target, { userNamespace });
    });
    return { root: target };
  }

  async unmount(key: string): Promise<void> {
    this.#rootOf(key);
    const target = this.#target(key);
    if (!this.#mounts.isHeld(target)) return;
    await this.#mounts.release(target);
    if (!this.#mounts.has(target)) await removeMountPoint(target);
  }

  async adopt(key: string): Promise<MountedSnapshot> {
    const target = this.#target(key);
    const isMapped = this.#mounts.has(target) || mountsBelow(target).length > 0;
    if (!isMapped) return { root: this.#rootOf(key) };
    await this.#mounts.hold(target, () => {});
    return { root: target };
  }

  get #mountsFolder(): string {
    return join(this.#options.runRoot, 'mounts');
  }

  #target(key: string): string {
    return join(this.#mountsFolder, this.#records.get(key).id, 'merged');
  }

  /** @throws `not-found`. */
  #rootOf(key: string): string {
    return this.#records.path(this.#records.get(key).id, 'root');
  }

  async changes(key: string): Promise<readonly Change[]> {
    return await listChanges(this.#upper(key), await this.#below(key));
  }

  async isChanged(key: string): Promise<boolean> {
    return await hasChanges(this.#upper(key), await this.#below(key));
  }

  async *diff(key: string, options: DiffOptions = {}): ByteSource {
    const { kind, chain } = this.#records.get(key);
    if (kind === 'view') throw new EngineError('failed-precondition', `diff snapshot ${key}: it is a view`);
    await using layers = await this.#layers.hold(chain);
    yield* diffTar(this.#upper(key), { below: await this.#below(key), root: layers.rootAttributes() }, options);
  }

  #upper(key: string): Upper {
    return { root: bytesFromUtf8(this.#rootOf(key)), form: 'plain' };
  }

  async #below(key: string): Promise<MergedFile | undefined> {
    const { chain, init } = this.#records.get(key);
    const folders = [init === undefined ? undefined : this.#inits.path(init), await this.#chainFolder(chain)];
    return mergedRoot(folders.filter((folder) => folder !== undefined).map(bytesFromUtf8));
  }

  chainFolders(): Promise<null> {
    return Promise.resolve(null);
  }

  async folders(key: string): Promise<null> {
    this.#records.get(key);
    return null;
  }

  /** What the snapshot changed, as the other drivers count it, though its copy takes more. */
  async usage(key: string): Promise<SnapshotUsage> {
    const usage = { sizeBytes: 0, inodes: 0 };
    const seen = new Set<bigint>();
    const walk = withParents(compareUpper(this.#upper(key), await this.#below(key), { strict: true }));
    for await (const item of inSlices(walk)) {
      if (item.kind === 'delete' || seen.has(item.stat.ino)) continue;
      if (item.stat.nlink > 1) seen.add(item.stat.ino);
      usage.inodes++;
      if ((item.stat.mode & 0o170000) !== 0o040000) usage.sizeBytes += item.stat.size;
    }
    return usage;
  }

  async remove(key: string): Promise<void> {
    const target = join(this.#mountsFolder, snapshotID(key), 'merged');
    if (this.#mounts.has(target)) {
      await this.#mounts.force(target);
      await removeMountPoint(target);
    }
    const path = await this.#records.detach(snapshotID(key));
    if (path) await this.#options.workers.run({ kind: 'remove-tree', path });
  }

  /** Removing waits for it here. */
  settled(): Promise<void> {
    return Promise.resolve();
  }

  list(): Promise<readonly SnapshotInfo[]> {
    return Promise.resolve(this.#records.list().map(({ key, kind, chain }) => ({ key, kind, chain })));
  }

  async recover(keep: KeepSets): Promise<void> {
    const kept = new Set([...keep.mounted].map((key) => join(this.#mountsFolder, snapshotID(key), 'merged')));
    for (const { target } of mountsBelow(this.#mountsFolder)) {
      if (kept.has(target) || this.#mounts.has(target)) continue;
      await unmount(target);
      await removeMountPoint(target);
    }
    for (const { key } of this.#records.list()) {
      if (!keep.snapshots.has(key)) await this.remove(key);
    }
    for (const path of await this.#records.leftovers(keep.snapshots)) {
      await this.#options.workers.run({ kind: 'remove-tree', path });
    }
    await this.#inits.recover(new Set(this.#records.list().flatMap(({ init }) => init ?? [])));
    await this.#layers.recover(keep.layers);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#options.workers[Symbol.asyncDispose]();
  }
}

/** Into the copy itself, as applying the folder of mount points would. A handful of files. */
function putMountPoints(root: string, points: readonly MountPoint[], staging: string): void {
  const target = bytesFromUtf8(root);
  mkdirSync(staging, { mode: 0o700 });
  const source = { tree: treeOf(points, mergedRoot([target])), tarFd: -1, abort: new AbortFlag() };
  writePlainLayer(source, { root: target, staging: bytesFromUtf8(staging), isBottom: false });
  rmdirSync(staging);
}
