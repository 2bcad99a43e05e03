import { mkdir, open, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { isErrno } from '#errdefs';
import { log } from '#log';
import { CountedMounts, makeDisk, mountDisk, mountsBelow, unmount } from '#mount';

const imageName = 'disk.img';

/** A mounted disk, held until disposed. */
export interface HeldDisk extends AsyncDisposable {
  readonly path: string;
}

/**
 * File systems of bounded size for writable layers: a file in the snapshot's folder, mounted while somebody looks at it. So a limit needs no
 * quotas of the file system the data root is on.
 */
export class Disks {
  readonly #folder: string;
  readonly #mounts = new CountedMounts({ unmount: (target) => unmountDisk(target) });

  /** @param folder on the run root, for the mounts. */
  constructor(folder: string) {
    this.#folder = folder;
  }

  async load(): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o711 });
    for (const { target } of mountsBelow(this.#folder)) this.#mounts.adopt(target);
  }

  /** Where the disk of a snapshot is or will be mounted. */
  path(id: string): string {
    return join(this.#folder, id);
  }

  /** Puts a disk into a snapshot's folder; `fill` gets it mounted, elsewhere. */
  async make(folder: string, sizeBytes: number, fill: (path: string) => Promise<void>): Promise<void> {
    const target = join(folder, 'disk');
    await makeDisk(join(folder, imageName), sizeBytes);
    await mkdir(target, { mode: 0o755 });
    await mountDisk(join(folder, imageName), target);
    try {
      await fill(target);
    } finally {
      await unmountDisk(target);
    }
  }

  /** After it a power cut leaves the disk in a snapshot's folder as it is now, or newer. */
  async persist(folder: string): Promise<void> {
    await using image = await open(join(folder, imageName), 'r');
    await image.sync();
  }

  async hold(id: string, folder: string): Promise<HeldDisk> {
    const target = this.path(id);
    await this.#mounts.hold(target, async () => {
      await mkdir(target, { recursive: true, mode: 0o755 });
      await mountDisk(join(folder, imageName), target);
    });
    return { path: target, [Symbol.asyncDispose]: () => this.#release(target) };
  }

  /** A disk that was removed while it was held is no longer there. */
  async #release(target: string): Promise<void> {
    if (this.#mounts.isHeld(target)) await this.#mounts.release(target);
  }

  async remove(id: string): Promise<void> {
    if (this.#mounts.has(this.path(id))) await this.#mounts.force(this.path(id));
  }

  /** Unmounts what an earlier process left, except these. */
  async recover(keep: ReadonlySet<string>): Promise<void> {
    const kept = new Set([...keep].map((id) => this.path(id)));
    for (const target of this.#mounts.targets()) if (!kept.has(target)) await this.#mounts.drop(target);
  }
}

async function unmountDisk(target: string): Promise<void> {
  await unmount(target);
  try {
    await rmdir(target);
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) log.warn('remove mount point failed', { target, error });
  }
}
