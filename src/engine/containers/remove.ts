import { rm } from 'node:fs/promises';
import type { ContainersPruned, Filters } from '#api-types';
import { cleanup } from '#concurrency';
import { EngineError } from '#errdefs';
import type { EngineContext } from '../context.ts';
import { checkFilterKeys, matchesLabels } from '../filters.ts';
import { untilMs } from '../images/list.ts';
import { traced } from '../trace.ts';
import type { Container } from './container.ts';
import { emitContainer } from './events.ts';
import { removeLink } from './links/index.ts';
import { endForward } from './log-forward/index.ts';
import { containerPaths } from './paths.ts';
import { killAndWait } from './stop.ts';
import { saveContainer } from './store.ts';
import { ownVolumes } from './volume-plan.ts';

export interface RemoveOptions {
  readonly force?: boolean;
  readonly volumes?: boolean;
  readonly link?: boolean;
}

/** `DELETE /containers/{id}`. @throws `conflict` in Docker's words for a running container without `force`. */
export async function removeContainer(
  ctx: EngineContext,
  reference: string,
  options: RemoveOptions = {},
): Promise<void> {
  if (options.link) return await removeLink(ctx, reference);
  const container = ctx.containers.resolve(reference);
  if (container.isRunning) {
    if (!options.force) throw runningError(container, reference);
    await killAndWait(ctx, container);
  }
  using _held = await container.lock.acquire();
  if (ctx.containers.get(container.id) !== container) return;
  if (container.isRunning) throw runningError(container, reference);
  await removeLocked(ctx, container, { volumes: options.volumes ?? false });
}

function runningError(container: Container, reference: string): EngineError {
  const { status } = container.body.state;
  const fact =
    status === 'paused'
      ? 'container is paused and must be unpaused first'
      : `container is ${status}: stop the container before removing or force remove`;
  return new EngineError('conflict', `cannot remove container "${reference}": ${fact}`);
}

/** Forgets a stopped container whose lock the caller holds: row first, so that a crash leaves garbage and never a ghost. */
export function removeLocked(ctx: EngineContext, container: Container, options: { volumes: boolean }): Promise<void> {
  return traced('remove', container.id, () => forget(ctx, container, options));
}

async function forget(ctx: EngineContext, container: Container, options: { volumes: boolean }): Promise<void> {
  container.removing = true;
  container.failPending(new EngineError('not-found', `No such container: ${container.id}`));
  if (options.volumes) await removeOwnVolumes(ctx, container);
  await traced('forget', container.id, () => ctx.metadata.containers.remove(container.id));
  ctx.containers.delete(container);
  emitContainer(ctx, container, 'destroy');
  container.announceRemoval();
  endForward(container);
  await cleanup(`removed container ${container.id}`, async () => {
    await ctx.snapshots.remove(container.id);
    await rm(containerPaths(ctx, container.id).folder, { recursive: true, force: true });
  });
}

/** Before the record goes, which says from here on that the container is not whole: a crash leaves no volume without an owner. */
async function removeOwnVolumes(ctx: EngineContext, container: Container): Promise<void> {
  const names = ownVolumes(container.body.mounts);
  if (names.length === 0) return;
  container.body = { ...container.body, unfinished: true };
  await saveContainer(ctx, container);
  await cleanup(`volumes of container ${container.id}`, async () => {
    for (const name of names) {
      if (!ctx.volumes.find(name) || volumeUsers(ctx, name).some((user) => user !== container.id)) continue;
      await ctx.volumes.remove(name);
      ctx.events.emit({ type: 'volume', action: 'destroy', id: name, attributes: { driver: 'local' } });
    }
  });
}

/** IDs of containers that mount a volume. */
export function volumeUsers(ctx: EngineContext, name: string): string[] {
  return [...ctx.containers.all()]
    .filter((container) => container.body.mounts.some((mount) => mount.kind === 'volume' && mount.name === name))
    .map((container) => container.id);
}

/** `POST /containers/prune`: every stopped container the filters leave. */
export async function pruneContainers(
  ctx: EngineContext,
  options: { filters?: Filters } = {},
): Promise<ContainersPruned> {
  const filters = options.filters ?? {};
  checkFilterKeys(filters, ['label', 'label!', 'until']);
  const until = untilMs(filters);
  const deleted: string[] = [];
  let freedBytes = 0;
  for (const container of [...ctx.containers.all()]) {
    if (container.isRunning || !matchesLabels(container.body.config.Labels, filters)) continue;
    if (until !== undefined && Date.parse(container.body.created) >= until) continue;
    const sizeBytes = (await ctx.snapshots.usage(container.id)).sizeBytes;
    await removeContainer(ctx, container.id);
    deleted.push(container.id);
    freedBytes += sizeBytes;
  }
  ctx.events.emit({ type: 'container', action: 'prune', id: '', attributes: { reclaimed: String(freedBytes) } });
  return { ContainersDeleted: deleted.length > 0 ? deleted : null, SpaceReclaimed: freedBytes };
}
