/** A btrfs of a test's own in a file: in memory where there is some, since much on it is a commit to the disk. */
import { execFileSync, spawnSync } from 'node:child_process';
import { closeSync, existsSync, ftruncateSync, mkdirSync, openSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { scratchFolder } from '#testing';

export class BtrfsDisk implements AsyncDisposable {
  /** Where it is mounted. */
  readonly path: string;
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
    this.path = join(folder, 'mnt');
  }

  /** Undefined, said aloud, where there are no tools for it. */
  static async make(t: TestContext, sizeBytes: number): Promise<BtrfsDisk | undefined> {
    if (spawnSync('mkfs.btrfs', ['--version']).status !== 0) {
      t.skip('needs mkfs.btrfs (package btrfs-progs)');
      return undefined;
    }
    const memory = existsSync('/dev/shm') ? '/dev/shm' : scratchFolder();
    const disk = new BtrfsDisk(await mkdtemp(join(memory, 'wherry-btrfs-')));
    const image = join(disk.#folder, 'image');
    const fd = openSync(image, 'w');
    ftruncateSync(fd, sizeBytes);
    closeSync(fd);
    execFileSync('mkfs.btrfs', ['-q', image]);
    mkdirSync(disk.path);
    execFileSync('mount', ['-o', 'loop', image, disk.path]);
    return disk;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    execFileSync('umount', ['-R', '-l', this.path]);
    await rm(this.#folder, { recursive: true, force: true });
  }
}
