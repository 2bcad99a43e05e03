import { mkdir } from 'node:fs/promises';
import type { HostConfig } from '#api-types';
import { log } from '#log';
import { dockerMountPoints, type PrepareOptions } from '#snapshots';
import type { EngineContext } from '../context.ts';
import type { Container } from './container.ts';
import { containerPaths } from './paths.ts';
import { sizeLimitOf } from './size-limit.ts';

/** How the writable layer of a container is made. */
export function writableLayer(ctx: EngineContext, hostConfig: HostConfig): PrepareOptions {
  const sizeLimitBytes = sizeLimitOf(hostConfig, ctx.snapshots) ?? ctx.sizeLimitBytes;
  return { ephemeral: hostConfig.AutoRemove ?? false, mountPoints: dockerMountPoints, sizeLimitBytes };
}

/**
 * A power cut may leave the record of a container that was just made without its folders. What never started has an empty writable layer,
 * which is made anew; anything else that is missing stays missing, and is a fault.
 */
export async function restoreWritableLayers(ctx: EngineContext, containers: readonly Container[]): Promise<void> {
  const keys = new Set((await ctx.snapshots.list()).map(({ key }) => key));
  for (const container of containers) {
    const { unfinished, state, hostConfig, chain, driver } = container.body;
    if (unfinished || !state.startedAt.startsWith('0001') || driver !== ctx.snapshots.name) continue;
    try {
      await mkdir(containerPaths(ctx, container.id).folder, { recursive: true, mode: 0o710 });
      if (keys.has(container.id)) continue;
      await ctx.snapshots.remove(container.id);
      await ctx.snapshots.unpack(chain);
      await ctx.snapshots.prepare(container.id, chain, writableLayer(ctx, hostConfig));
      log.warn('the writable layer of a container was lost before anything was in it; it is made anew', {
        container: container.id,
      });
    } catch (error) {
      log.error('make a lost writable layer anew', { container: container.id, error });
    }
  }
}
