import { log } from '#log';
import { sys } from '#sys';

export interface TrashOptions {
  /** How long what was removed can be brought back. Zero keeps nothing. */
  readonly graceMs?: number;
  /** Nothing is kept while less of the disk than this is free. */
  readonly minFreePercent?: number;
  /** What is kept never takes more than this part of what is free. */
  readonly maxPercentOfFree?: number;
}

const hourMs = 3_600_000;
/** Also when each is small: a folder, a record and a row are kept of each. */
const maxEntries = 1000;

/** An entry, as the limits see it. */
export interface Weighed {
  readonly number: number;
  readonly atMs: number;
}

/** How much is kept, and for how long. */
export class TrashPolicy {
  readonly graceMs: number;
  readonly #minFree: number;
  readonly #maxShare: number;
  readonly #root: string;

  constructor(root: string, { graceMs = 24 * hourMs, minFreePercent = 15, maxPercentOfFree = 10 }: TrashOptions = {}) {
    this.#root = root;
    this.graceMs = graceMs;
    this.#minFree = minFreePercent / 100;
    this.#maxShare = maxPercentOfFree / 100;
  }

  /** Whether what is removed now may be kept. */
  keeps(): boolean {
    return this.graceMs > 0 && this.shortOfBytes() <= 0;
  }

  /** How many bytes have to be freed until enough of the disk is free; zero or less: none. */
  shortOfBytes(): number {
    const { freeBytes, totalBytes } = this.#disk();
    return totalBytes * this.#minFree - freeBytes;
  }

  freeBytes(): number {
    return this.#disk().freeBytes;
  }

  /** What may be kept in all, given what is free now. */
  maxBytes(): number {
    return this.#disk().freeBytes * this.#maxShare;
  }

  /** Of `entries`, oldest first, how many are past their time or too many. */
  countExpired(entries: readonly Weighed[], nowMs: number): number {
    const expired = entries.filter((entry) => entry.atMs + this.graceMs <= nowMs).length;
    return Math.max(expired, entries.length - maxEntries);
  }

  #disk(): { freeBytes: number; totalBytes: number } {
    try {
      const { available, blocks, blockSize } = sys.statfs(this.#root);
      return { freeBytes: available * blockSize, totalBytes: blocks * blockSize };
    } catch (error) {
      log.warn('trash: could not ask how much of the disk is free', { error });
      return { freeBytes: 0, totalBytes: 1 };
    }
  }
}
