import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { bytesFromUtf8 } from '#archive';
import { inSlices } from '#concurrency';
import { EngineError } from '#errdefs';
import { CountedMounts, mountMapped, mountsBelow, unmount } from '#mount';
import type { ByteSource } from '#streams';
import { AbortFlag } from './abort-flag.ts';
import { writeAttributes } from './attributes.ts';
import { hasChanges, listChanges, withParents } from './changes.ts';
import { compareUpper } from './compare-upper.ts';
import { defaultFolder } from './create.ts';
import { treeOf } from './init-layers.ts';
import { LayeredDriver, type LayeredDriverOptions } from './layered-driver.ts';
import { type MergedFile, mergedRoot } from './merged.ts';
import { removeMountPoint } from './mount-point.ts';
import { noSizeLimit } from './names.ts';
import { snapshotID } from './records.ts';
import type { Trees } from './trees.ts';
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
} from './types.ts';
import type { UnpackedLayers } from './unpacked-layers.ts';
import type { Upper } from './upper.ts';
import { upperTar } from './upper-tar.ts';
import { writePlainLayer } from './write-plain.ts';

export interface TreeDriverOptions extends LayeredDriverOptions<UnpackedLayers> {
  readonly trees: Trees;
}

/**
 * Snapshots as trees of their own that hold all of their chain. As plain copies that works everywhere, costs the most, and is what every
 * other driver is compared with; a file system that clones makes it cheap.
 */
export class TreeDriver extends LayeredDriver<UnpackedLayers> implements SnapshotDriver {
  readonly name: Trees['name'];
  readonly #trees: Trees;
  /** Those that are shown under other IDs. */
  readonly #mounts = new CountedMounts();

  private constructor(options: TreeDriverOptions) {
    super(options);
    this.name = options.trees.name;
    this.#trees = options.trees;
  }

  static async open(options: TreeDriverOptions): Promise<TreeDriver> {
    const driver = new TreeDriver(options);
    await driver.load();
    await mkdir(driver.mountsFolder, { recursive: true, mode: 0o711 });
    return driver;
  }

  sizeLimitRefusal(): string | undefined {
    return this.#trees.sizeLimitRefusal();
  }

  async prepare(key: string, chain: Chain, { mountPoints = [], sizeLimitBytes }: PrepareOptions = {}): Promise<void> {
    const refusal = sizeLimitBytes === undefined ? undefined : this.sizeLimitRefusal();
    if (refusal !== undefined) throw noSizeLimit(key, refusal);
    await this.#create({ key, chain, kind: 'active', sizeLimitBytes }, mountPoints);
  }

  /** All of it is a copy that was made just now. */
  async persist(key: string): Promise<void> {
    await this.workers.run({ kind: 'sync-file-system', path: this.#rootOf(key) });
  }

  view(key: string, chain: Chain): Promise<void> {
    return this.#create({ key, chain, kind: 'view' }, []);
  }

  async #create(
    snapshot: SnapshotInfo & { readonly sizeLimitBytes?: number | undefined },
    points: readonly MountPoint[],
  ): Promise<void> {
    const source = await this.#chainFolder(snapshot.chain);
    const init = await this.inits.ensure(snapshot.chain, source ? [source] : [], points);
    await this.records.create({ ...snapshot, ephemeral: false, init }, async (folder) => {
      const target = join(folder, 'root');
      if (source) await this.#trees.clone(source, target);
      else {
        await this.#trees.create(target);
        writeAttributes(bytesFromUtf8(target), defaultFolder);
      }
      if (init !== undefined) putMountPoints(target, points);
      if (snapshot.sizeLimitBytes !== undefined) await this.#trees.limit(target, snapshot.sizeLimitBytes);
    });
  }

  async #chainFolder(chain: Chain): Promise<string | undefined> {
    await using layers = await this.layers.hold(chain);
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

  #target(key: string): string {
    return join(this.mountsFolder, this.records.get(key).id, 'merged');
  }

  /** @throws `not-found`. */
  #rootOf(key: string): string {
    return this.records.path(this.records.get(key).id, 'root');
  }

  async changes(key: string): Promise<readonly Change[]> {
    return await listChanges(this.#upper(key), await this.#below(key));
  }

  async isChanged(key: string): Promise<boolean> {
    return await hasChanges(this.#upper(key), await this.#below(key));
  }

  async *diff(key: string, options: DiffOptions = {}): ByteSource {
    const { kind, chain } = this.records.get(key);
    if (kind === 'view') throw new EngineError('failed-precondition', `diff snapshot ${key}: it is a view`);
    await using layers = await this.layers.hold(chain);
    const below = await this.#foldersBelow(key);
    yield* upperTar(this.workers, { upper: this.#upper(key), below, root: layers.rootAttributes() }, options);
  }

  #upper(key: string): Upper {
    return { root: bytesFromUtf8(this.#rootOf(key)), form: 'plain' };
  }

  async #below(key: string): Promise<MergedFile | undefined> {
    return mergedRoot((await this.#foldersBelow(key)).map(bytesFromUtf8));
  }

  async #foldersBelow(key: string): Promise<readonly string[]> {
    const { chain, init } = this.records.get(key);
    const folders = [init === undefined ? undefined : this.inits.path(init), await this.#chainFolder(chain)];
    return folders.filter((folder) => folder !== undefined);
  }

  chainFolders(): Promise<null> {
    return Promise.resolve(null);
  }

  async folders(key: string): Promise<null> {
    this.records.get(key);
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
    const target = join(this.mountsFolder, snapshotID(key), 'merged');
    if (this.#mounts.has(target)) {
      await this.#mounts.force(target);
      await removeMountPoint(target);
    }
    const path = await this.records.detach(snapshotID(key));
    if (path) await this.#trees.remove(path);
  }

  settled(): Promise<void> {
    return this.#trees.settled();
  }

  async recover(keep: KeepSets): Promise<void> {
    const kept = new Set([...keep.mounted].map((key) => join(this.mountsFolder, snapshotID(key), 'merged')));
    for (const { target } of mountsBelow(this.mountsFolder)) {
      if (kept.has(target) || this.#mounts.has(target)) continue;
      await unmount(target);
      await removeMountPoint(target);
    }
    for (const { key } of this.records.list()) {
      if (!keep.snapshots.has(key)) await this.remove(key);
    }
    for (const path of await this.records.leftovers(keep.snapshots)) {
      await this.#trees.remove(path);
    }
    await this.inits.recover(new Set(this.records.list().flatMap(({ init }) => init ?? [])));
    await this.layers.recover(keep.layers);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.workers[Symbol.asyncDispose]();
  }
}

/** Into the copy itself, as applying the folder of mount points would. A handful of files. */
function putMountPoints(root: string, points: readonly MountPoint[]): void {
  const target = bytesFromUtf8(root);
  const source = { tree: treeOf(points, mergedRoot([target])), abort: new AbortFlag() };
  writePlainLayer(source, { root: target, isBottom: false });
}
