import { delay } from '#concurrency';
import { isKind } from '#errdefs';
import { canShare, type SharedLayer, walkInThread } from '#image-files';
import { log } from '#log';
import type { EngineContext } from '../context.ts';
import { dropStrayLists, usageLayer } from './file-usage.ts';
import { lightenLayers, refillLayers } from './light-layers.ts';

/** So long nothing may happen to images before a pass begins: sharing takes the disk's time, and nobody waits for it. */
const quietMs = 2000;

/** How often an engine that shares nothing looks for layers that others still read from. */
const idleMs = 5000;

/** Equal files of layers share blocks of the disk, where its file system can; else one layer has them and the others read them there. */
type Way = 'blocks' | 'recipes';

/**
 * Lets layers have equal files once, in the background: when the engine opens, then whenever images have come. Also of an engine that does not, layers get
 * back what they read of others that are there for nothing else any more.
 */
export class FileSharing {
  readonly #way: Way | undefined;

  private constructor(way: Way | undefined) {
    this.#way = way;
  }

  static open(root: string, dedup: 'files' | undefined): FileSharing {
    return new FileSharing(dedup && (canShare(root) ? 'blocks' : 'recipes'));
  }

  get isOn(): boolean {
    return this.#way !== undefined;
  }

  /** Disposing ends a pass that runs: the next engine goes on with it. */
  start(ctx: EngineContext): AsyncDisposable {
    const ended = new AbortController();
    const work = this.#run(ctx, ended.signal).catch((error) => {
      if (!ended.signal.aborted) log.error('sharing files ended', { error });
    });
    return {
      async [Symbol.asyncDispose]() {
        ended.abort();
        await work;
      },
    };
  }

  async #run(ctx: EngineContext, signal: AbortSignal): Promise<void> {
    let [before, done]: unknown[] = [];
    let given = '';
    while (!signal.aborted) {
      // The same list until an image changes.
      const images = this.#way && ctx.metadata.images.list();
      if (images !== done && images === before) {
        await this.#pass(ctx, signal);
        done = images;
      }
      before = images;
      const dying = ctx.metadata.layerSources.keptForOthers().join();
      // What failed is tried again with the next change.
      if (dying !== '' && dying !== given) await guarded(signal, () => refillLayers(ctx, signal));
      given = dying;
      await delay(this.#way ? quietMs : idleMs, { signal }).catch(() => {});
    }
  }

  async #pass(ctx: EngineContext, signal: AbortSignal): Promise<void> {
    if (!this.#way) return;
    await guarded(signal, async () => {
      await dropStrayLists(ctx);
      await (this.#way === 'blocks' ? shareBlocks(ctx, signal) : lightenLayers(ctx, signal));
    });
  }
}

async function guarded(signal: AbortSignal, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (signal.aborted || isKind(error, 'canceled')) return;
    // A full disk, say: the next change of images tries again.
    log.warn('could not share files', { error });
  }
}

async function shareBlocks(ctx: EngineContext, signal: AbortSignal): Promise<void> {
  // Files with holes have nothing to compare there.
  const partial = new Set<string>(await ctx.content.recipes());
  const whole = ctx.metadata.layers.list().filter(({ diffID }) => !partial.has(diffID));
  const layers = whole.map(({ diffID }) => usageLayer(ctx, diffID));
  for await (const { diffID, sharedBytes, differing } of walkInThread<SharedLayer>(
    { kind: 'share', layers },
    { signal },
  )) {
    if (sharedBytes > 0) log.info('files shared', { layer: diffID, sharedBytes });
    if (differing > 0) log.warn('files of one digest differ: run wherryd verify', { layer: diffID, differing });
  }
}
