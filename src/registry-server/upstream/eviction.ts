import { log } from '#log';
import type { PullCounter } from '../hub/pull-counter.ts';
import type { Stores } from '../registry.ts';
import { type UpstreamRule, upstreamOf } from './rules.ts';

/** How often it is looked, at most: shorter times are looked after more often. */
const maxIntervalMs = 60 * 60_000;
const minIntervalMs = 1_000;
const batch = 500;

/**
 * Removes from copies what nobody has pulled for as long as their rules say; it is fetched again when somebody does. The collector frees the space, as after
 * any delete.
 */
export class Eviction implements AsyncDisposable {
  readonly #stores: Stores;
  readonly #pulls: Pick<PullCounter, 'flush'>;
  readonly #rules: readonly UpstreamRule[];
  readonly #shortestMs: number;
  readonly #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #isOver = false;

  /** Pulls that are not written down yet count, too. */
  constructor(stores: Stores, pulls: Pick<PullCounter, 'flush'>, rules: readonly UpstreamRule[]) {
    this.#stores = stores;
    this.#pulls = pulls;
    this.#rules = rules;
    this.#shortestMs = Math.min(...rules.map(({ keepMs }) => keepMs ?? Number.POSITIVE_INFINITY));
    if (this.#shortestMs === Number.POSITIVE_INFINITY) return;
    const intervalMs = Math.max(minIntervalMs, Math.min(maxIntervalMs, this.#shortestMs / 4));
    this.#timer = setInterval(() => this.#tick(), intervalMs).unref();
  }

  #tick(): void {
    this.#running ??= this.#evict()
      .catch((error: unknown) => log.error('removing unused copies failed', { error }))
      .finally(() => {
        this.#running = undefined;
      });
  }

  async #evict(): Promise<void> {
    const { meta } = this.#stores;
    await this.#pulls.flush();
    const nowMs = Date.now();
    let removed = 0;
    let after: { repository: string; digest: string } | undefined;
    while (!this.#isOver) {
      const found = await meta.unused({ beforeMs: nowMs - this.#shortestMs, after, limit: batch });
      for (const { repository, digest, usedMs } of found) {
        const keepMs = upstreamOf(this.#rules, repository)?.rule.keepMs;
        if (keepMs !== undefined && usedMs < nowMs - keepMs && (await meta.removeManifest(repository, digest)))
          removed++;
      }
      after = found.at(-1);
      if (found.length < batch) break;
    }
    if (removed > 0) log.info('removed copies that nobody has pulled for long', { manifests: removed });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true;
    clearInterval(this.#timer);
    await this.#running;
  }
}
