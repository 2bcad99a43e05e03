import { randomBytes } from 'node:crypto';
import { chmod, mkdir, readdir, readFile, rename, rm, rmdir, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { KeyedLock } from '#concurrency';
import { EngineError, isErrno } from '#errdefs';
import { fsyncFolder } from '#files';
import { log } from '#log';
import { makeSpreadFolder } from '#sys';
import { AsideFolders, asideName } from './aside.ts';
import { DeviceMounts, hasDevice } from './device-mounts.ts';
import { decodeVolume, encodeVolume } from './documents.ts';
import { checkDriverOptions } from './driver-options.ts';
import { checkVolumeName } from './names.ts';
import { populateFolder, stagingName } from './populate.ts';
import type { AsideVolume, CreateVolume, VolumeInfo, VolumeOptions, Volumes, VolumeTable } from './types.ts';
import { sizeOfTree } from './usage.ts';

/** No volume's name starts so. */
const removingPrefix = '.removing-';
const anonymousLabel = 'com.docker.volume.anonymous';

/** Volumes under a data root. The root folder can be crossed by the users of containers, not listed. */
export async function openVolumes(options: VolumeOptions): Promise<Volumes> {
  const root = resolve(options.root);
  await makeSpreadFolder(root, { mode: 0o701 });
  await chmod(root, 0o701);
  return new LocalVolumes(root, options.table);
}

class LocalVolumes implements Volumes {
  readonly #root: string;
  readonly #table: VolumeTable;
  readonly #lock = new KeyedLock();
  readonly #devices = new DeviceMounts();
  readonly #aside: AsideFolders;

  constructor(root: string, table: VolumeTable) {
    this.#root = root;
    this.#table = table;
    this.#aside = new AsideFolders(root);
  }

  find(name: string): VolumeInfo | undefined {
    const document = this.#table.byName(name);
    return document && decodeVolume(this.#root, document);
  }

  list(): readonly VolumeInfo[] {
    return this.#table
      .list()
      .map((document) => decodeVolume(this.#root, document))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  async create(wish: CreateVolume = {}): Promise<VolumeInfo> {
    const name = wish.name ? wish.name : randomBytes(32).toString('hex');
    if (wish.driver && wish.driver !== 'local') {
      throw new EngineError(
        'not-found',
        `create ${name}: error looking up volume plugin ${wish.driver}: plugin "${wish.driver}" not found`,
      );
    }
    checkVolumeName(name);
    using _held = await this.#lock.acquire(name);
    const existing = this.find(name);
    if (existing) return existing;
    checkDriverOptions(name, wish.options ?? {});
    const volume = this.#describe(name, wish);
    try {
      await this.#makeFolder(name);
      await this.#table.put(encodeVolume(volume));
    } catch (error) {
      await this.#dropUnfinished(name);
      throw error;
    }
    return volume;
  }

  async remove(name: string, check?: () => void): Promise<void> {
    using _held = await this.#lock.acquire(name);
    await this.#requireFree(name);
    check?.();
    const folder = join(this.#root, name);
    const removing = join(this.#root, removingPrefix + name);
    // Renamed first: a crash from here on ends as a removal. A folder that is gone already is no reason to keep the row.
    await rename(folder, removing).catch((error) => {
      if (!isErrno(error, 'ENOENT')) throw error;
    });
    await fsyncFolder(this.#root);
    await this.#table.remove(name);
    await rm(removing, { recursive: true, force: true });
  }

  async setAside(names: readonly string[], label: string, commit: () => Promise<void>): Promise<void> {
    using _held = await this.#lockAll(names);
    for (const name of names) await this.#requireFree(name);
    await commit();
    for (const name of names) await this.#aside.take({ label, name });
  }

  async bringBack(names: readonly string[], label: string, commit: () => Promise<void>): Promise<void> {
    using _held = await this.#lockAll(names);
    await commit();
    for (const name of names) await this.#aside.giveBack({ label, name });
  }

  dropAside(volume: AsideVolume): Promise<void> {
    return this.#aside.drop(volume);
  }

  asideFolder(volume: AsideVolume): string {
    return this.#aside.path(volume);
  }

  async populate(
    name: string,
    sourceFolder: string,
    options: { signal?: AbortSignal | undefined } = {},
  ): Promise<boolean> {
    using _held = await this.#lock.acquire(name, options);
    const volume = this.#require(name);
    // What is mounted on the data has to be staged on the same file system.
    const staging = join(hasDevice(volume) ? volume.mountpoint : join(this.#root, name), stagingName);
    return await populateFolder({ data: volume.mountpoint, staging }, sourceFolder, options.signal);
  }

  async hold(name: string, user: string): Promise<void> {
    using _held = await this.#lock.acquire(name);
    await this.#devices.hold(this.#require(name), user);
  }

  async release(name: string, user: string): Promise<void> {
    using _held = await this.#lock.acquire(name);
    const volume = this.find(name);
    if (volume) await this.#devices.release(volume, user);
  }

  async adopt(users: ReadonlyMap<string, readonly string[]>): Promise<void> {
    for (const volume of this.list()) {
      for (const user of users.get(volume.name) ?? []) this.#devices.adopt(volume, user);
      await this.#devices.sweep(volume);
    }
  }

  async usageBytes(name: string, options: { signal?: AbortSignal | undefined } = {}): Promise<number> {
    return await sizeOfTree(this.#require(name).mountpoint, options.signal);
  }

  async recover(aside: readonly AsideVolume[] = []): Promise<void> {
    const isVolume = (name: string) => this.find(name) !== undefined;
    await this.#aside.settle(aside, { isVolume, hasFolder: (name) => isFolder(join(this.#root, name)) });
    for (const entry of await readdir(this.#root)) {
      if (entry === asideName) continue;
      if (entry.startsWith(removingPrefix)) await this.#finishRemoval(entry.slice(removingPrefix.length));
      else if (!this.find(entry)) await this.#dropUnfinished(entry);
    }
    for (const { name } of this.list()) {
      await rm(join(this.#root, name, stagingName), { recursive: true, force: true });
    }
  }

  async *verify(aside: readonly AsideVolume[] = []): AsyncGenerator<string> {
    yield* this.#verifyAside(aside);
    for (const { name, mountpoint } of this.list()) {
      if (!(await isFolder(mountpoint))) yield `volume ${name}: ${mountpoint} is missing`;
      if (await isFolder(join(this.#root, name, stagingName))) yield `volume ${name}: an unfinished copy is left`;
    }
    for (const entry of await readdir(this.#root)) {
      if (entry !== asideName && !this.find(entry)) yield `volume folder ${entry} belongs to no volume`;
    }
  }

  async *#verifyAside(aside: readonly AsideVolume[]): AsyncGenerator<string> {
    for (const { label, name } of aside) {
      if (!(await isFolder(this.#aside.path({ label, name }))))
        yield `volume ${name}: what undo ${label} keeps of it is missing`;
    }
    const kept = new Set(aside.map((volume) => this.#aside.path(volume)));
    for (const volume of await this.#aside.list()) {
      if (!kept.has(this.#aside.path(volume)))
        yield `volume ${volume.name}: its folder is aside for undo ${volume.label}, which is gone`;
    }
  }

  /** In one order for everybody. */
  async #lockAll(names: readonly string[]): Promise<Disposable> {
    using held = new DisposableStack();
    for (const name of [...new Set(names)].sort()) held.use(await this.#lock.acquire(name));
    return held.move();
  }

  /** @throws `not-found`, `conflict`: removing it would empty what is mounted there. */
  async #requireFree(name: string): Promise<void> {
    this.#require(name);
    const mounted = await mountInside(join(this.#root, name));
    if (mounted !== undefined)
      throw new EngineError('conflict', `remove ${name}: volume is in use: ${mounted} is a mount point`);
  }

  #describe(name: string, wish: CreateVolume): VolumeInfo {
    const anonymous = wish.anonymous ?? !wish.name;
    return {
      name,
      driver: 'local',
      mountpoint: join(this.#root, name, '_data'),
      createdAt: new Date(),
      labels: anonymous ? { ...wish.labels, [anonymousLabel]: '' } : (wish.labels ?? null),
      options: wish.options ?? null,
      anonymous,
    };
  }

  /** What an earlier, unfinished create left under the name is used. */
  async #makeFolder(name: string): Promise<void> {
    const folder = join(this.#root, name);
    const data = join(folder, '_data');
    await mkdir(data, { recursive: true });
    await chmod(folder, 0o701);
    await chmod(data, 0o755);
    await fsyncFolder(folder);
    await fsyncFolder(this.#root);
  }

  #require(name: string): VolumeInfo {
    const volume = this.find(name);
    if (!volume) throw new EngineError('not-found', `get ${name}: no such volume`);
    return volume;
  }

  async #finishRemoval(name: string): Promise<void> {
    if (this.find(name) && !(await isFolder(join(this.#root, name)))) await this.#table.remove(name);
    await rm(join(this.#root, removingPrefix + name), { recursive: true, force: true });
  }

  /** Only what is surely ours and holds nothing; data without a row is left for its owner, and `verify` tells of it. */
  async #dropUnfinished(name: string): Promise<void> {
    try {
      await rmdir(join(this.#root, name, '_data')).catch(ignoreAbsent);
      await rmdir(join(this.#root, name));
    } catch (error) {
      log.warn('folder among the volumes belongs to none', { name, error });
    }
  }
}

function ignoreAbsent(error: unknown): void {
  if (!isErrno(error, 'ENOENT')) throw error;
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (error) {
    if (isErrno(error, 'ENOENT') || isErrno(error, 'ENOTDIR')) return false;
    throw error;
  }
}

/** A mount point below `folder`, if there is one: removing the folder would empty what is mounted there. */
async function mountInside(folder: string): Promise<string | undefined> {
  const table = await readFile('/proc/self/mountinfo', 'utf8');
  const targets = table.split('\n').map((line) => line.split(' ')[4] ?? '');
  return targets.map(unescaped).find((target) => target.startsWith(`${folder}/`));
}

/** proc(5): spaces and the like are written as octal escapes. */
function unescaped(path: string): string {
  return path.replaceAll(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}
