import { messageOf } from '#errdefs';
import { log } from '#log';
import { pruneByRule } from './build-cache.ts';
import type { CacheRule } from './cache-rules.ts';
import type { EngineContext } from './context.ts';

/** BuildKit's. */
const defaultDelayMs = 60_000;

/** Keeps the build cache within bounds: the rules are applied a while after builds, in the background. */
export class BuildCacheKeeper {
  readonly #rules: readonly CacheRule[];
  readonly #delayMs: number;
  #ctx: EngineContext | undefined;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(rules: readonly CacheRule[], delayMs = defaultDelayMs) {
    this.#rules = rules;
    this.#delayMs = delayMs;
  }

  /** From now until the disposal of what it gives. */
  start(ctx: EngineContext): AsyncDisposable {
    this.#ctx = ctx;
    return {
      [Symbol.asyncDispose]: async () => {
        this.#ctx = undefined;
        clearTimeout(this.#timer);
        await this.#running;
      },
    };
  }

  /** A build has ended: those that end soon after it are looked at with it. */
  built(): void {
    if (this.#rules.length === 0 || this.#timer !== undefined || this.#ctx === undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#running = this.#running.then(() => this.#apply());
    }, this.#delayMs);
    this.#timer.unref();
  }

  async #apply(): Promise<void> {
    try {
      for (const rule of this.#rules) {
        if (this.#ctx === undefined) return;
        const pruned = await pruneByRule(this.#ctx, rule);
        if (pruned?.CachesDeleted) {
          log.info('build cache pruned', { records: pruned.CachesDeleted.length, freedBytes: pruned.SpaceReclaimed });
        }
      }
    } catch (error) {
      log.warn('the build cache could not be pruned', { error: messageOf(error) });
    }
  }
}
