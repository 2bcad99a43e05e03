import { kindOf } from '#errdefs';
import { log } from '#log';
import type { EngineContext } from '../context.ts';

/** Frees what nothing reaches any more; answers the bytes. A failure is logged: the next collection tries again. */
export async function collectGarbage(ctx: EngineContext): Promise<number> {
  try {
    return (await ctx.metadata.collect()).freedBytes;
  } catch (error) {
    log.error('collect garbage failed', { error, kind: kindOf(error) });
    return 0;
  }
}
