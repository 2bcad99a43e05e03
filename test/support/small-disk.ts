/** A small ext4 file system of a test's own in a file, and what fills it. */
import { execFileSync, spawnSync } from 'node:child_process';
import { closeSync, ftruncateSync, mkdirSync, openSync, readdirSync, rmSync, statfsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { scratchFolder } from '#testing';

const fillerPrefix = 'filler-';

export class SmallDisk implements AsyncDisposable {
  /** Where it is mounted. */
  readonly path: string;
  readonly #folder: string;
  #fillers = 0;

  private constructor(folder: string) {
    this.#folder = folder;
    this.path = join(folder, 'disk');
  }

  static async make(sizeBytes: number): Promise<SmallDisk> {
    const disk = new SmallDisk(await mkdtemp(join(scratchFolder(), 'wherry-disk-')));
    const image = join(disk.#folder, 'image');
    const fd = openSync(image, 'w');
    ftruncateSync(fd, sizeBytes);
    closeSync(fd);
    execFileSync('mkfs.ext4', ['-q', '-F', '-m', '0', '-O', '^has_journal', image]);
    mkdirSync(disk.path);
    execFileSync('mount', ['-o', 'loop', image, disk.path]);
    return disk;
  }

  get freeBytes(): number {
    const { bavail, bsize } = statfsSync(this.path);
    return bavail * bsize;
  }

  /** Takes all but so many bytes of what is free. */
  fill(leftBytes: number): void {
    const takenBytes = this.freeBytes - leftBytes;
    if (takenBytes <= 0) return;
    const file = join(this.path, `${fillerPrefix}${this.#fillers++}`);
    // Others take what was free a moment ago; what there was is taken all the same.
    spawnSync('fallocate', ['-l', String(takenBytes), file]);
  }

  clear(): void {
    for (const name of readdirSync(this.path)) if (name.startsWith(fillerPrefix)) rmSync(join(this.path, name));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    execFileSync('umount', ['-l', this.path]);
    await rm(this.#folder, { recursive: true, force: true });
  }
}
