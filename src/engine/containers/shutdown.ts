import { log } from '#log';
import type { EngineContext } from '../context.ts';
import { stopContainer } from './stop.ts';

const defaultShutdownSeconds = 15;

/** Stops every running container at once, each within its own stop timeout and all within the engine's. */
export async function shutDownContainers(ctx: EngineContext): Promise<void> {
  const limitSeconds = ctx.options.shutdownTimeoutSeconds ?? defaultShutdownSeconds;
  const running = [...ctx.containers.all()].filter((container) => container.isRunning);
  const stops = await Promise.allSettled(
    running.map((container) => {
      const wanted = container.body.config.StopTimeout ?? 10;
      return stopContainer(ctx, container.id, { timeoutSeconds: Math.min(Math.max(wanted, 0), limitSeconds) });
    }),
  );
  for (const [index, stop] of stops.entries()) {
    if (stop.status === 'rejected')
      log.warn('stopping a container at shutdown failed', { container: running[index]!.id, error: stop.reason });
  }
  // An exit is handled under the container's lock: whoever gets it last sees everything let go.
  await Promise.all(running.map(async (container) => (await container.lock.acquire())[Symbol.dispose]()));
}
