import { EngineError } from '#errdefs';
import type { EngineContext } from '../context.ts';
import { notRunning } from './attach.ts';
import { emitContainer } from './events.ts';
import { watchHealth } from './health.ts';
import { refuseRestarting } from './restarting.ts';
import { saveContainer } from './store.ts';

/** `POST /containers/{id}/pause` and `/unpause`: the cgroup freezer. */
export async function setPaused(ctx: EngineContext, reference: string, paused: boolean): Promise<void> {
  const container = ctx.containers.resolve(reference);
  // A commit freezes the container too: it must not be thawed under it.
  using _frozen = await ctx.locks.acquire(`freeze ${container.id}`);
  using _held = await container.lock.acquire();
  const { status } = container.body.state;
  if (!paused && status !== 'paused') throw new EngineError('internal', `Container ${container.id} is not paused`);
  if (!container.isRunning) throw notRunning(container);
  refuseRestarting(container);
  if (paused && status === 'paused') throw new EngineError('conflict', `Container ${container.id} is already paused`);
  await (paused ? ctx.runtime.pause(container.id) : ctx.runtime.resume(container.id));
  container.setState({ status: paused ? 'paused' : 'running' });
  if (paused) container.stopHealth();
  else watchHealth(ctx, container);
  await saveContainer(ctx, container);
  emitContainer(ctx, container, paused ? 'pause' : 'unpause');
}
