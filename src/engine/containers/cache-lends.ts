import { lendCacheMountAgain } from '../build-cache-mount.ts';
import type { EngineContext } from '../context.ts';
import type { Container } from './container.ts';

/** Before the container of a build's step starts: its cache mounts are its own, as those of the step were. @throws `conflict` when a build has one for itself */
export async function lendCaches(ctx: EngineContext, container: Container): Promise<void> {
  const mounts = [...container.body.mounts];
  for (const [number, mount] of mounts.entries()) {
    if (mount.kind !== 'bind' || !mount.cache) continue;
    const lent = await lendCacheMountAgain(ctx, mount.cache.name, mount.cache.wish);
    container.lent.push(lent);
    mounts[number] = { ...mount, source: lent.path };
  }
  container.body = { ...container.body, mounts };
}

export async function releaseCaches(container: Container): Promise<void> {
  for (const lent of container.lent.splice(0)) await lent[Symbol.asyncDispose]();
}
