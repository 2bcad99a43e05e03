import type { Filters, Volume, VolumeCreateConfig, VolumeList, VolumesPruned } from '#api-types';
import { EngineError, isKind } from '#errdefs';
import type { Keeping } from '#metadata';
import type { VolumeInfo } from '#volume';
import { volumeUsers } from './containers/remove.ts';
import type { EngineContext } from './context.ts';
import { booleanFilter, checkFilterKeys, matchesLabels, matchesPattern } from './filters.ts';
import { formatMs } from './time.ts';

/** A volume as the API shows it. */
export function volumeView(volume: VolumeInfo): Volume {
  return {
    CreatedAt: formatMs(Math.floor(volume.createdAt.getTime() / 1000) * 1000),
    Driver: volume.driver,
    Labels: volume.labels,
    Mountpoint: volume.mountpoint,
    Name: volume.name,
    Options: volume.options,
    Scope: 'local',
  };
}

export function listVolumes(ctx: EngineContext, options: { filters?: Filters } = {}): VolumeList {
  const filters = options.filters ?? {};
  checkFilterKeys(filters, ['dangling', 'driver', 'label', 'label!', 'name']);
  const dangling = booleanFilter(filters, 'dangling');
  const volumes = ctx.volumes.list().filter((volume) => {
    if (dangling !== undefined && (volumeUsers(ctx, volume.name).length === 0) !== dangling) return false;
    if (filters['driver']?.length && !filters['driver'].includes(volume.driver)) return false;
    if (filters['name']?.length && !filters['name'].some((pattern) => matchesPattern(pattern, volume.name)))
      return false;
    return matchesLabels(volume.labels, filters);
  });
  return { Volumes: volumes.map(volumeView), Warnings: null };
}

export function inspectVolume(ctx: EngineContext, name: string): Volume {
  const volume = ctx.volumes.find(name);
  if (!volume) throw new EngineError('not-found', `get ${name}: no such volume`);
  return volumeView(volume);
}

export async function createVolume(ctx: EngineContext, config: VolumeCreateConfig): Promise<Volume> {
  const existing = config.Name ? ctx.volumes.find(config.Name) : undefined;
  if (existing && (config.Driver || 'local') === existing.driver) return volumeView(existing);
  const volume = await ctx.volumes.create({
    ...(config.Name ? { name: config.Name } : {}),
    driver: config.Driver || 'local',
    labels: config.Labels ?? null,
    options: config.DriverOpts ?? null,
    anonymous: !config.Name,
  });
  ctx.events.emit({ type: 'volume', action: 'create', id: volume.name, attributes: { driver: volume.driver } });
  return volumeView(volume);
}

/** @throws `conflict` in Docker's words while a container, running or not, mounts it. */
export async function removeVolume(
  ctx: EngineContext,
  name: string,
  options: { force?: boolean; keep?: Keeping | undefined } = {},
): Promise<void> {
  if (!ctx.volumes.find(name)) {
    if (options.force) return;
    throw new EngineError('not-found', `get ${name}: no such volume`);
  }
  requireUnused(ctx, name);
  const keep = options.keep ?? ctx.metadata.journal.keeping('volume rm', name);
  // Again with the volume's lock held: a container that is being created waits for it, or was before.
  if (keep) {
    await ctx.volumes.setAside([name], `${keep.number}`, async () => {
      requireUnused(ctx, name);
      await ctx.metadata.journal.retire({ volumes: [name] }, keep);
    });
    ctx.trash.touched();
  } else await ctx.volumes.remove(name, () => requireUnused(ctx, name));
  ctx.events.emit({ type: 'volume', action: 'destroy', id: name, attributes: { driver: 'local' } });
}

function requireUnused(ctx: EngineContext, name: string): void {
  const users = volumeUsers(ctx, name);
  if (users.length > 0) throw new EngineError('conflict', `remove ${name}: volume is in use - [${users.join(', ')}]`);
}

/** Anonymous unused volumes, or with `all=true` every unused one. */
export async function pruneVolumes(ctx: EngineContext, options: { filters?: Filters } = {}): Promise<VolumesPruned> {
  const filters = options.filters ?? {};
  checkFilterKeys(filters, ['all', 'label', 'label!']);
  const all = booleanFilter(filters, 'all') ?? false;
  const deleted: string[] = [];
  let freedBytes = 0;
  const keep = ctx.metadata.journal.keeping('volume prune', '');
  for (const volume of ctx.volumes.list()) {
    if (!(all || volume.anonymous) || volumeUsers(ctx, volume.name).length > 0) continue;
    if (!matchesLabels(volume.labels, filters)) continue;
    try {
      const sizeBytes = await ctx.volumes.usageBytes(volume.name);
      await removeVolume(ctx, volume.name, { keep });
      deleted.push(volume.name);
      freedBytes += sizeBytes;
    } catch (error) {
      // Taken or removed by another meanwhile: no reason to leave the rest.
      if (!isKind(error, 'conflict') && !isKind(error, 'not-found')) throw error;
    }
  }
  ctx.events.emit({ type: 'volume', action: 'prune', id: '', attributes: { reclaimed: String(freedBytes) } });
  return { VolumesDeleted: deleted, SpaceReclaimed: freedBytes };
}
