import { log } from '#log';
import type { PullCounter } from '../hub/pull-counter.ts';
import type { Stores } from '../registry.ts';
import { evictByAge } from './eviction-by-age.ts';
import { evictBySize } from './eviction-by-size.ts';
import type { UpstreamRule } from './rules.ts';

/** How often it is looked, at most: shorter times are looked after more often. */
const maxIntervalMs = 60 * 60_000;
const minIntervalMs = 1_000;
/** Sizes grow at any time. */
const maxSizeIntervalMs = 30_000;

/** What one look works with. */
export interface EvictionCall {
  readonly stores: Stores;
  readonly rules: readonly UpstreamRule[];
  readonly isOver: () => boolean;
}

/**
 * Removes from copies what nobody has pulled for as long as their rules say, and what they have no room for; it is fetched again when somebody
 * asks. The collector frees the space, as after any delete.
 */
export class Eviction implements AsyncDisposable {
  readonly #call: EvictionCall;
  readonly #pulls: Pick<PullCounter, 'flush'>;
  readonly #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #isOver = false;

  /** Pulls that are not written down yet count, too. */
  constructor(stores: Stores, pulls: Pick<PullCounter, 'flush'>, rules: readonly UpstreamRule[]) {
    this.#pulls = pulls;
    this.#call = { stores, rules, isOver: () => this.#isOver };
    const shortestMs = Math.min(...rules.map(({ keepMs }) => keepMs ?? Number.POSITIVE_INFINITY));
    const isSized = rules.some(({ keepBytes }) => keepBytes !== undefined);
    if (shortestMs === Number.POSITIVE_INFINITY && !isSized) return;
    const forSizeMs = isSized ? Math.min(maxSizeIntervalMs, stores.retention.inUseMs / 4) : maxIntervalMs;
    const intervalMs = Math.max(minIntervalMs, Math.min(maxIntervalMs, shortestMs / 4, forSizeMs));
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
    await this.#pulls.flush();
    const unused = await evictByAge(this.#call);
    if (unused > 0) log.info('removed copies that nobody has pulled for long', { manifests: unused });
    const surplus = await evictBySize(this.#call);
    if (surplus > 0) log.info('removed copies for which there is no room', { manifests: surplus });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true;
    clearInterval(this.#timer);
    await this.#running;
  }
}
