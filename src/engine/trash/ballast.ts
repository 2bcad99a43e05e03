import { randomBytes } from 'node:crypto';
import { access, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isErrno } from '#errdefs';
import { removeIfPresent } from '#files';
import { log } from '#log';
import { sys } from '#sys';

const sizeBytes = 1 << 20;
/** With less free it is not put back. */
const plentyBytes = 8 << 20;

/**
 * A file that is only there to be removed: on a full disk even the row that forgets a container or an image needs a few pages. Its bytes are random, as a
 * file system may keep others in no space.
 */
export class Ballast {
  readonly #root: string;
  readonly #path: string;

  private constructor(root: string) {
    this.#root = root;
    this.#path = join(root, 'ballast');
  }

  static async open(root: string): Promise<Ballast> {
    const ballast = new Ballast(root);
    await ballast.refill();
    return ballast;
  }

  /** Answers whether there was any. */
  release(): Promise<boolean> {
    return removeIfPresent(this.#path);
  }

  /** Puts it back where the disk has plenty. */
  async refill(): Promise<void> {
    if (!(await this.#isMissing())) return;
    const { available, blockSize } = sys.statfs(this.#root);
    if (available * blockSize < plentyBytes) return;
    try {
      await writeFile(this.#path, randomBytes(sizeBytes), { mode: 0o600 });
    } catch (error) {
      log.warn('could not set space aside for a full disk', { error });
      await rm(this.#path, { force: true });
    }
  }

  async #isMissing(): Promise<boolean> {
    try {
      await access(this.#path);
      return false;
    } catch (error) {
      return isErrno(error, 'ENOENT');
    }
  }
}
