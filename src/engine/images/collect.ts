import { kindOf } from '#errdefs';
import { log } from '#log';
import type { Keeping } from '#metadata';
import type { EngineContext } from '../context.ts';

/**
 * Frees what nothing reaches any more; answers the bytes, with those that only `keep` holds on to: for who removed them they are gone. A failure is
 * logged: the next collection tries again.
 */
export async function collectGarbage(ctx: EngineContext, keep?: Keeping): Promise<number> {
  try {
    const { freedBytes } = await ctx.metadata.collect();
    if (!keep) return freedBytes;
    ctx.trash.touched();
    return freedBytes + keptBytes(ctx, keep);
  } catch (error) {
    log.error('collect garbage failed', { error, kind: kindOf(error) });
    return 0;
  }
}

function keptBytes({ metadata }: EngineContext, { number }: Keeping): number {
  const kept = metadata.journal.blobs().filter((blob) => blob.number === number);
  return kept.reduce((sum, blob) => sum + blob.sizeBytes, 0);
}
