import { rm } from 'node:fs/promises';
import type { ContainersPruned, Filters } from '#api-types';
import { cleanup } from '#concurrency';
import { EngineError, isKind } from '#errdefs';
import { log } from '#log';
import type { Keeping } from '#metadata';
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
  /** That of a call that removes several. */
  readonly keep?: Keeping | undefined;
}

interface RemoveLocked {
  /** Its own volumes too. */
  readonly volumes: boolean;
  /** Brought back by this; without it, it is gone for good. */
  readonly keep?: Keeping | undefined;
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
  const keep = options.keep ?? ctx.metadata.journal.keeping('rm', container.name);
  await removeLocked(ctx, container, { volumes: options.volumes ?? false, keep });
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
export function removeLocked(ctx: EngineContext, container: Container, options: RemoveLocked): Promise<void> {
  return traced('remove', container.id, () => forget(ctx, container, options));
}

async function forget(ctx: EngineContext, container: Container, options: RemoveLocked): Promise<void> {
  container.removing = true;
  container.failPending(new EngineError('not-found', `No such container: ${container.id}`));
  // What asked to be removed when it ends holds nothing that anybody would want back, nor does a step that was looked into.
  const keep = container.body.hostConfig.AutoRemove || container.body.step ? undefined : options.keep;
  if (keep) await setAside(ctx, container, { volumes: options.volumes, keep });
  else {
    if (options.volumes) await removeOwnVolumes(ctx, container);
    await traced('forget', container.id, () => ctx.metadata.containers.remove(container.id));
  }
  ctx.containers.delete(container);
  emitContainer(ctx, container, 'destroy');
  container.announceRemoval();
  endForward(container);
  if (keep) return ctx.trash.touched();
  await cleanup(`removed container ${container.id}`, async () => {
    await ctx.snapshots.remove(container.id);
    await rm(containerPaths(ctx, container.id).folder, { recursive: true, force: true });
  });
}

/** Its record and those of its own volumes go in one step; its folders stay where they are, those of the volumes go aside. */
async function setAside(
  ctx: EngineContext,
  container: Container,
  { volumes, keep }: { volumes: boolean; keep: Keeping },
): Promise<void> {
  const names = volumes ? removableVolumes(ctx, container) : [];
  const retire = (chosen: readonly string[]) =>
    traced('forget', container.id, () =>
      ctx.metadata.journal.retire({ containers: [container.id], volumes: chosen }, keep),
    );
  try {
    await ctx.volumes.setAside(names, `${keep.number}`, () => retire(names));
    for (const name of names) tellVolumeGone(ctx, name);
  } catch (error) {
    if (!isKind(error, 'conflict')) throw error;
    log.warn('volumes of a removed container stay', { container: container.id, error });
    await retire([]);
  }
}

/** Those it was made with and nobody else uses. */
function removableVolumes(ctx: EngineContext, container: Container): string[] {
  return ownVolumes(container.body.mounts).filter(
    (name) => ctx.volumes.find(name) && volumeUsers(ctx, name).every((user) => user === container.id),
  );
}

function tellVolumeGone(ctx: EngineContext, name: string): void {
  ctx.events.emit({ type: 'volume', action: 'destroy', id: name, attributes: { driver: 'local' } });
}

/** Before the record goes, which says from here on that the container is not whole: a crash leaves no volume without an owner. */
async function removeOwnVolumes(ctx: EngineContext, container: Container): Promise<void> {
  if (removableVolumes(ctx, container).length === 0) return;
  container.body = { ...container.body, unfinished: true };
  await saveContainer(ctx, container);
  await cleanup(`volumes of container ${container.id}`, async () => {
    for (const name of removableVolumes(ctx, container)) {
      await ctx.volumes.remove(name);
      tellVolumeGone(ctx, name);
    }
  });
}

/** IDs of containers that mount a volume. */
export function volumeUsers(ctx: EngineContext, name: string): string[] {
  return [...ctx.containers.users()]
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
  const keep = ctx.metadata.journal.keeping('container prune', '');
  for (const container of [...ctx.containers.all()]) {
    if (container.isRunning || !matchesLabels(container.body.config.Labels, filters)) continue;
    if (until !== undefined && Date.parse(container.body.created) >= until) continue;
    const sizeBytes = (await ctx.snapshots.usage(container.id)).sizeBytes;
    await removeContainer(ctx, container.id, { keep });
    deleted.push(container.id);
    freedBytes += sizeBytes;
  }
  ctx.events.emit({ type: 'container', action: 'prune', id: '', attributes: { reclaimed: String(freedBytes) } });
  return { ContainersDeleted: deleted.length > 0 ? deleted : null, SpaceReclaimed: freedBytes };
}
