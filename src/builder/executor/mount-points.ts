import { chmod, lchown, mkdir, open, stat, writeFile } from 'node:fs/promises';
import type { ByteString } from '#archive';
import { type FullStat, sys } from '#sys';
import type { StepMount } from '../types.ts';
import { DiskTree } from './disk-tree.ts';
import type { MountedRun } from './run.ts';
import { parentOf, resolvePath, toBytes } from './source-tree.ts';

interface Touched {
  readonly path: ByteString;
  readonly stat: FullStat;
}

/**
 * What one step needs in its root and what does not belong into its layer: what is written below a volume, as if that had been a place of its own,
 * targets of mounts, and the script of a heredoc. What every container needs there is the driver's to make, between the chain and the writable layer.
 */
export class MountPoints {
  readonly #root: string;
  readonly #tree: DiskTree;
  readonly #made = new Set<ByteString>();
  readonly #touched: Touched[] = [];
  readonly #volumes: ByteString[] = [];
  readonly #keptVolumes = new Set<ByteString>();

  private constructor(root: string) {
    this.#root = root;
    this.#tree = new DiskTree(root);
  }

  /** Makes what is missing below a mounted root that no process uses yet. */
  static async prepare(
    root: string,
    { volumes, script, made }: Pick<MountedRun, 'volumes' | 'script' | 'made'>,
  ): Promise<MountPoints> {
    const points = new MountPoints(root);
    for (const volume of volumes) await points.#makeVolume(volume);
    for (const mount of made) await points.#makeTarget(mount);
    if (script) await points.#makeScript(script);
    points.#remember();
    return points;
  }

  /** Whether {@link leftOut} may leave anything out at all. */
  get isNeeded(): boolean {
    return this.#volumes.length > 0 || this.#touched.length > 0;
  }

  /**
   * Which of the changed paths (absolute, as the driver lists them) do not belong into the layer. Call when no process uses the root any more and it
   * is still mounted.
   */
  async leftOut(changed: readonly string[]): Promise<(path: ByteString) => boolean> {
    const out = new Set<ByteString>();
    const below = this.#volumes.map((volume) => `${volume}/`);
    const isBelowVolume = (path: ByteString) => below.some((prefix) => path.startsWith(prefix));
    for (const volume of this.#volumes) if (!this.#keptVolumes.has(volume)) out.add(volume);
    const paths = changed.map((path) => toBytes(path).slice(1)).filter((path) => !isBelowVolume(path));
    for (const { path, stat } of this.#touched.toReversed()) {
      const prefix = `${path}/`;
      const holdsChange = paths.some((other) => other.startsWith(prefix) && !out.has(other));
      if (!holdsChange && this.#isUntouched(path, stat)) out.add(path);
    }
    await this.#resetVolumes();
    return (path) => out.has(path) || isBelowVolume(path);
  }

  async #makeFolders(path: ByteString): Promise<void> {
    if (path === '' || (await this.#tree.lstat(path))) return;
    await this.#makeFolders(parentOf(path));
    await mkdir(this.#full(path), 0o755);
    this.#made.add(path);
  }

  /** A target that nothing was at is not part of the layer. One inside another mount is made there, where it stays. */
  async #makeTarget(mount: StepMount): Promise<void> {
    const path = await resolvePath(this.#tree, toBytes(mount.target));
    if (await this.#tree.lstat(path)) return;
    if (mount.kind === 'tmpfs' || (await stat(mount.source)).isDirectory()) return await this.#makeFolders(path);
    await this.#makeFolders(parentOf(path));
    await writeFile(this.#full(path), '', { flag: 'wx', mode: 0o644 });
    this.#made.add(path);
  }

  /** In the root folder itself, which is no symlink. @throws when the image has a file of that name. */
  async #makeScript({ path, content }: { readonly path: string; readonly content: string }): Promise<void> {
    const name = toBytes(path.slice(1));
    await using file = await open(this.#full(name), 'wx', 0o755);
    await file.writeFile(content);
    this.#made.add(name);
  }

  async #makeVolume(volume: string): Promise<void> {
    const path = await resolvePath(this.#tree, toBytes(volume));
    if (path === '') return;
    if (!(await this.#tree.lstat(path))) {
      await this.#makeFolders(path);
      for (let at = path; at !== '' && this.#made.has(at); at = parentOf(at)) this.#keptVolumes.add(at);
    }
    this.#volumes.push(path);
  }

  /** Everything made, and the folders it was made in, as they are now: parents before children. */
  #remember(): void {
    const paths = new Set<ByteString>();
    for (const path of this.#made) if (!this.#keptVolumes.has(path)) paths.add(path).add(parentOf(path));
    for (const path of [...paths].sort()) {
      if (path !== '' && !this.#keptVolumes.has(path)) this.#touched.push({ path, stat: sys.lstat(this.#full(path)) });
    }
  }

  #isUntouched(path: ByteString, before: FullStat): boolean {
    let now: FullStat;
    try {
      now = sys.lstat(this.#full(path));
    } catch {
      return false;
    }
    const facts = (stat: FullStat) =>
      [
        stat.mode,
        stat.uid,
        stat.gid,
        stat.size,
        stat.mtime.sec,
        stat.mtime.nsec,
        stat.ctime.sec,
        stat.ctime.nsec,
      ].join();
    return facts(now) === facts(before);
  }

  /** A folder that became a volume here is in the layer as it was made, whatever the step did to the volume. */
  async #resetVolumes(): Promise<void> {
    for (const path of this.#keptVolumes) {
      if ((await this.#tree.lstat(path))?.type !== 'directory') continue;
      await lchown(this.#full(path), 0, 0);
      await chmod(this.#full(path), 0o755);
    }
  }

  #full(path: ByteString): Buffer {
    return Buffer.from(`${this.#root}/${path}`, 'latin1');
  }
}
