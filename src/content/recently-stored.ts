import type { Digest } from '#oci';

/** Longer than work holds a lease between storing a blob and recording it. */
const memoryMs = 6 * 3_600_000;
const pruneAbove = 16_384;

/** When this process last stored a blob, or vouched for one already there. */
export class RecentlyStored {
  readonly #times = new Map<Digest, number>();

  mark(digest: Digest): void {
    this.#times.set(digest, performance.now());
    if (this.#times.size > pruneAbove) this.#prune();
  }

  since(digest: Digest, moment: number): boolean {
    return (this.#times.get(digest) ?? Number.NEGATIVE_INFINITY) >= moment;
  }

  #prune(): void {
    const oldest = performance.now() - memoryMs;
    for (const [digest, at] of this.#times) if (at < oldest) this.#times.delete(digest);
  }
}
