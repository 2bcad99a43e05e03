/** A disk that can be copied as it is at one moment, which is what a power cut leaves of it. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { TestDaemon } from '../support/daemon.ts';
import { instanceOf, mountsBelow } from './crash-traces.ts';

const run = (command: string, ...args: string[]) => execFileSync(command, args, { encoding: 'utf8', stdio: 'pipe' });

/** Copies at one moment are clones of a file, for which the file below must be able to share blocks. */
export function requireReflinks(t: TestContext): boolean {
  const tool = ['/usr/bin/mkfs.btrfs', '/usr/sbin/mkfs.btrfs', '/sbin/mkfs.btrfs'].some((path) => existsSync(path));
  if (tool) return true;
  t.skip('needs mkfs.btrfs (package btrfs-progs)');
  return false;
}

export class PulledDisk implements AsyncDisposable {
  readonly #shelf: string;
  readonly #mountPoint: string;
  #number = 0;

  private constructor(shelf: string, mountPoint: string) {
    this.#shelf = shelf;
    this.#mountPoint = mountPoint;
  }

  /** An empty disk at `mountPoint`; its file and the copies are kept on a file system of their own in `folder`. */
  static async make(folder: string, mountPoint: string, fileSystem: 'ext4' | 'btrfs'): Promise<PulledDisk> {
    const shelf = join(folder, 'shelf');
    for (const path of [shelf, mountPoint]) mkdirSync(path, { recursive: true });
    sparseFile(`${shelf}.img`, 12 << 10);
    run('mkfs.btrfs', '-q', `${shelf}.img`);
    run('mount', '-o', 'loop', `${shelf}.img`, shelf);
    const disk = new PulledDisk(shelf, mountPoint);
    sparseFile(disk.#file, 4 << 10);
    if (fileSystem === 'ext4') run('mkfs.ext4', '-q', '-F', disk.#file);
    else run('mkfs.btrfs', '-q', disk.#file);
    run('mount', '-o', 'loop', disk.#file, mountPoint);
    return disk;
  }

  get #file(): string {
    return join(this.#shelf, `disk-${this.#number}`);
  }

  /** The moment. Blocks this thread, so that no answer is heard between it and what the caller did before. */
  pull(): void {
    run('cp', '--reflink=always', this.#file, join(this.#shelf, `disk-${this.#number + 1}`));
  }

  /** Takes the copy for the disk, and from the machine whatever does not outlive a reboot. The daemon has ended. */
  async plugIn(daemon: TestDaemon): Promise<void> {
    const owner = `wherry-${instanceOf(daemon.dataRoot)}`;
    for (const target of mountsBelow(daemon.folder).reverse()) run('umount', '-l', target);
    rmSync(join(daemon.folder, 'run'), { recursive: true, force: true });
    for (const name of bridgesOf(owner)) run('ip', 'link', 'delete', name);
    rmSync(this.#file);
    this.#number++;
    run('mount', '-o', 'loop', this.#file, this.#mountPoint);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const target of mountsBelow(this.#mountPoint).reverse()) run('umount', '-l', target);
    run('umount', '-l', this.#mountPoint);
    run('umount', '-l', this.#shelf);
    rmSync(`${this.#shelf}.img`);
  }
}

function sparseFile(path: string, sizeMiB: number): void {
  writeFileSync(path, '');
  truncateSync(path, sizeMiB * 2 ** 20);
}

function bridgesOf(owner: string): string[] {
  return readdirSync('/sys/class/net').filter((name) => {
    if (!existsSync(`/sys/class/net/${name}/bridge`)) return false;
    return run('cat', `/sys/class/net/${name}/ifalias`).trim() === owner;
  });
}
