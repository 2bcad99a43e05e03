import { mkdir, readdir, rename, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { isErrno } from '#errdefs';
import { fsyncFolder } from '#files';
import type { AsideVolume } from './types.ts';

/** No volume's name starts so. */
export const asideName = '.aside';

/**
 * Folders of volumes that were removed and may come back: `.aside/<label>/<name>`. Whether a folder belongs here or in its volume's place is
 * decided by rows, which are written between; {@link AsideFolders.settle} makes the folders follow after a crash.
 */
export class AsideFolders {
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
  }

  path({ label, name }: AsideVolume): string {
    return join(this.#root, asideName, label, name);
  }

  async take(volume: AsideVolume): Promise<void> {
    const folder = join(this.#root, asideName, volume.label);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await rename(join(this.#root, volume.name), this.path(volume)).catch(ignoreAbsent);
    await fsyncFolder(folder);
    await fsyncFolder(this.#root);
  }

  async giveBack(volume: AsideVolume): Promise<void> {
    await rename(this.path(volume), join(this.#root, volume.name));
    await fsyncFolder(this.#root);
    await rmdir(join(this.#root, asideName, volume.label)).catch(ignoreFull);
  }

  async drop(volume: AsideVolume): Promise<void> {
    await rm(this.path(volume), { recursive: true, force: true });
    await rmdir(join(this.#root, asideName, volume.label)).catch(ignoreFull);
  }

  /** Puts every folder where the rows say: `aside` are those that are kept, `isVolume` and `hasFolder` tell of the others. */
  async settle(
    aside: readonly AsideVolume[],
    place: { isVolume: (name: string) => boolean; hasFolder: (name: string) => Promise<boolean> },
  ): Promise<void> {
    const kept = new Set(aside.map((volume) => this.path(volume)));
    const found = await this.list();
    for (const volume of found) {
      if (kept.has(this.path(volume))) continue;
      if (place.isVolume(volume.name) && !(await place.hasFolder(volume.name))) await this.giveBack(volume);
      else await this.drop(volume);
    }
    const there = new Set(found.map((volume) => this.path(volume)));
    for (const volume of aside) {
      if (there.has(this.path(volume)) || place.isVolume(volume.name)) continue;
      if (await place.hasFolder(volume.name)) await this.take(volume);
    }
  }

  async list(): Promise<AsideVolume[]> {
    const labels = await namesIn(join(this.#root, asideName));
    const found = await Promise.all(
      labels.map(async (label) => (await namesIn(join(this.#root, asideName, label))).map((name) => ({ label, name }))),
    );
    return found.flat();
  }
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    ignoreAbsent(error);
    return [];
  }
}

function ignoreAbsent(error: unknown): void {
  if (!isErrno(error, 'ENOENT')) throw error;
}

function ignoreFull(error: unknown): void {
  if (!isErrno(error, 'ENOTEMPTY')) ignoreAbsent(error);
}
