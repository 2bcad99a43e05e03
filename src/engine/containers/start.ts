import { Semaphore } from '#concurrency';
import { EngineError } from '#errdefs';
import { log } from '#log';
import type { EngineContext } from '../context.ts';
import type { Container } from './container.ts';
import { emitContainer } from './events.ts';
import { launch, restartLater } from './launch.ts';
import { wantsRestart } from './restart-policy.ts';
import { type StopOptions, stopContainer, stopSignal } from './stop.ts';

/** How many containers a daemon's start brings up side by side. */
const startsAtOnce = 8;

/**
 * `POST /containers/{id}/start`: mount and network → OCI spec → conmon + runtime → attach who waits → start → record.
 * @throws `not-modified` when it runs already; a failed start leaves the container stopped with its error recorded and nothing held.
 */
export async function startContainer(ctx: EngineContext, reference: string): Promise<void> {
  const container = ctx.containers.resolve(reference);
  using _held = await container.lock.acquire();
  if (container.removing) throw new EngineError('conflict', 'container is marked for removal and cannot be started');
  if (container.body.state.status === 'paused') {
    throw new EngineError('conflict', 'cannot start a paused container, try unpause instead');
  }
  if (container.isRunning) throw new EngineError('not-modified', '');
  beginAnew(container);
  await launch(ctx, container);
}

/** A start by hand: what its policy counted so far is forgotten. */
function beginAnew(container: Container): void {
  container.stopRequested = false;
  container.restartDelayMs = 0;
  const { stoppedByHand: _forgotten, ...body } = container.body;
  container.body = { ...body, restartCount: 0 };
}

/** `POST /containers/{id}/restart`: stop when it runs, then start. One that removes itself stays. */
export async function restartContainer(
  ctx: EngineContext,
  reference: string,
  options: StopOptions = {},
): Promise<void> {
  const container = ctx.containers.resolve(reference);
  stopSignal(container, options, `Cannot restart container ${reference}`);
  container.keepAfterExit = true;
  try {
    if (container.isRunning) await stopContainer(ctx, container.id, options);
    await startContainer(ctx, container.id);
  } finally {
    container.keepAfterExit = false;
  }
  emitContainer(ctx, container, 'restart');
}

/** At the daemon's start, once everything is in order: brings back what restart policies want to run. */
export async function startAgain(ctx: EngineContext): Promise<void> {
  const slots = new Semaphore(startsAtOnce);
  const starting = new Map<string, Promise<void>>();
  const start = async (container: Container) => {
    // Who is linked to others needs them to run. Links are to containers that were there before, so that nobody waits for himself.
    await Promise.allSettled((container.body.links ?? []).map(({ containerID }) => starting.get(containerID)));
    using _slot = await slots.acquire();
    await startContainer(ctx, container.id);
  };
  const oldestFirst = [...ctx.containers.all()].sort((a, b) => (a.body.created < b.body.created ? -1 : 1));
  for (const container of oldestFirst.filter(shouldRunAgain)) starting.set(container.id, start(container));
  for (const container of ctx.containers.all()) restartLater(ctx, container);
  for (const started of await Promise.allSettled(starting.values())) {
    if (started.status === 'rejected') {
      log.warn('a container could not be started again', { error: started.reason });
    }
  }
}

function shouldRunAgain(container: Container): boolean {
  const { state, hostConfig, restartCount, stoppedByHand = false } = container.body;
  const end = { exitCode: state.exitCode, restartCount, stoppedByHand };
  return state.status === 'exited' && wantsRestart(hostConfig.RestartPolicy, end);
}
