import { delay } from '#concurrency';
import { isKind } from '#errdefs';
import { requireSharing, type SharedLayer, walkInThread } from '#image-files';
import { log } from '#log';
import type { EngineContext } from '../context.ts';
import { dropStrayLists, usageLayer } from './file-usage.ts';

/** So long nothing may happen to images before a pass begins: sharing takes the disk's time, and nobody waits for it. */
const quietMs = 2000;

/** Lets equal files of layers share their blocks, in the background: once when the engine opens, then whenever images have come. */
export class FileSharing {
  /** @throws `failed-precondition` where the file system of the data root cannot. */
  static open(root: string): FileSharing {
    requireSharing(root);
    return new FileSharing();
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
    while (!signal.aborted) {
      // The same list until an image changes.
      const images = ctx.metadata.images.list();
      if (images !== done && images === before) {
        await this.#pass(ctx, signal);
        done = images;
      }
      before = images;
      await delay(quietMs, { signal }).catch(() => {});
    }
  }

  async #pass(ctx: EngineContext, signal: AbortSignal): Promise<void> {
    try {
      await dropStrayLists(ctx);
      const layers = ctx.metadata.layers.list().map(({ diffID }) => usageLayer(ctx, diffID));
      for await (const { diffID, sharedBytes, differing } of walkInThread<SharedLayer>(
        { kind: 'share', layers },
        { signal },
      )) {
        if (sharedBytes > 0) log.info('files shared', { layer: diffID, sharedBytes });
        if (differing > 0) log.warn('files of one digest differ: run wherryd verify', { layer: diffID, differing });
      }
    } catch (error) {
      if (signal.aborted || isKind(error, 'canceled')) return;
      // A full disk, say: the next change of images tries again.
      log.warn('could not share files', { error });
    }
  }
}
