import { randomBytes } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { CacheMountWish, HeldCacheMount } from '#builder';
import { mountMapped, unmount } from '#mount';
import type { EngineContext } from './context.ts';

/** A cache mount as a build step can use it: with `--userns-remap`, shown under the IDs that the step runs with. */
export async function lendCacheMount(
  ctx: EngineContext,
  wish: CacheMountWish,
  options: { signal: AbortSignal },
): Promise<HeldCacheMount> {
  return await shown(ctx, await ctx.cacheMounts.lend(wish, options));
}

/** The same for a container that a step left. @throws `conflict` when a build has it for itself */
export async function lendCacheMountAgain(
  ctx: EngineContext,
  name: string,
  wish: Omit<CacheMountWish, 'seed'>,
): Promise<HeldCacheMount> {
  return await shown(ctx, await ctx.cacheMounts.lendAgain(name, wish));
}

async function shown(ctx: EngineContext, lent: HeldCacheMount): Promise<HeldCacheMount> {
  if (!ctx.remap) return lent;
  const id = `cache-${randomBytes(8).toString('hex')}`;
  const folder = join(ctx.execRoot, 'steps', id);
  const release = async () => {
    await unmount(join(folder, 'cache'));
    await rm(folder, { recursive: true, force: true });
    ctx.buildSteps.delete(id);
    await lent[Symbol.asyncDispose]();
  };
  ctx.buildSteps.add(id);
  try {
    await mkdir(folder, { recursive: true, mode: 0o711 });
    mountMapped(lent.path, join(folder, 'cache'), { userNamespace: ctx.remap.userNamespace });
    return { path: join(folder, 'cache'), name: lent.name, [Symbol.asyncDispose]: release };
  } catch (error) {
    await release();
    throw error;
  }
}
