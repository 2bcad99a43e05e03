import type { VolumeInfo } from '#volume';
import type { EngineContext } from '../context.ts';
import type { MountDecision } from './mounts.ts';
import type { PlannedMount } from './record.ts';

/** A volume the plan needs and may have to be made. */
export interface VolumeWish {
  readonly plan: Extract<PlannedMount, { kind: 'volume' }>;
  readonly labels: Readonly<Record<string, string>> | null;
  readonly copyUp: boolean;
  readonly driver?: { readonly name: string; readonly options?: Readonly<Record<string, string>> | null };
}

export interface MountPlan {
  readonly mounts: readonly PlannedMount[];
  /** Fresh volumes to be filled from the image at the mount's path. */
  readonly copyUps: readonly { readonly volume: string; readonly destination: string }[];
}

/** Names of the volumes that are a container's own: made for it, and removed with it on `rm -v` and `--rm`. */
export function ownVolumes(mounts: readonly PlannedMount[]): string[] {
  return mounts.flatMap((mount) => (mount.kind === 'volume' && mount.anonymous ? [mount.name] : []));
}

/** Makes the volumes that were decided on and are not there yet. */
export async function makeVolumes(ctx: EngineContext, { mounts, wishes }: MountDecision): Promise<MountPlan> {
  const sources = new Map<string, string>();
  const copyUps: { volume: string; destination: string }[] = [];
  for (const wish of wishes) {
    const { plan, copyUp } = wish;
    const volume = await createVolume(ctx, wish);
    sources.set(plan.name, volume.mountpoint);
    if (copyUp) copyUps.push({ volume: plan.name, destination: plan.destination });
  }
  return {
    mounts: mounts.map((mount) =>
      mount.kind === 'volume' ? { ...mount, source: sources.get(mount.name) ?? mount.source } : mount,
    ),
    copyUps,
  };
}

/** Or finds it, once a removal that has begun is over. */
async function createVolume(ctx: EngineContext, { plan, labels, driver }: VolumeWish): Promise<VolumeInfo> {
  const existing = ctx.volumes.find(plan.name);
  const anonymousLabels = plan.anonymous ? { 'com.docker.volume.anonymous': '' } : null;
  const volume = await ctx.volumes.create({
    name: plan.name,
    labels: labels ?? anonymousLabels,
    anonymous: plan.anonymous,
    driver: driver?.name || 'local',
    options: driver?.options ?? null,
  });
  if (existing?.createdAt.getTime() === volume.createdAt.getTime()) return volume;
  ctx.events.emit({ type: 'volume', action: 'create', id: plan.name, attributes: { driver: 'local' } });
  return volume;
}
