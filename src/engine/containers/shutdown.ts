import { log } from '#log';
import type { EngineContext } from '../context.ts';
import { stopContainer } from './stop.ts';

const defaultShutdownSeconds = 15;
const defaultStopSeconds = 10;

/**
 * Stops every running container at once. A stop timeout of its own counts, however long (-1 waits for ever), as somebody said what the container needs;
 * the others get Docker's ten seconds, or the engine's limit where that is shorter.
 */
export async function shutDownContainers(ctx: EngineContext): Promise<void> {
  const limitSeconds = ctx.options.shutdownTimeoutSeconds ?? defaultShutdownSeconds;
  const running = [...ctx.containers.all()].filter((container) => container.isRunning);
  const stops = await Promise.allSettled(
    running.map((container) => {
      const own = container.body.config.StopTimeout;
      const timeoutSeconds =
        own ?? (limitSeconds < 0 ? defaultStopSeconds : Math.min(defaultStopSeconds, limitSeconds));
      return stopContainer(ctx, container.id, { timeoutSeconds, byHand: false });
    }),
  );
  for (const [index, stop] of stops.entries()) {
    if (stop.status === 'rejected')
      log.warn('stopping a container at shutdown failed', { container: running[index]!.id, error: stop.reason });
  }
  // An exit is handled under the container's lock: whoever gets it last sees everything let go.
  await Promise.all(running.map(async (container) => (await container.lock.acquire())[Symbol.dispose]()));
}
