import { EngineError } from '#errdefs';
import type { EngineContext } from '../context.ts';
import type { Container } from './container.ts';
import { saveContainer } from './store.ts';

/** dockerd's answer for what needs a process while the next one is waited for. */
export function isRestartingError(container: Container): EngineError {
  return new EngineError('conflict', `Container ${container.id} is restarting, wait until the container is running`);
}

/** @throws `conflict` between two runs of a container. */
export function refuseRestarting(container: Container): void {
  if (container.body.state.status === 'restarting') throw isRestartingError(container);
}

/** Keeps a container that waits for its next start from it. False when it does not wait: it may have been started by now. */
export async function endRestarting(ctx: EngineContext, container: Container): Promise<boolean> {
  using _held = await container.lock.acquire();
  if (container.body.state.status !== 'restarting') return false;
  container.cancelRestart();
  container.setState({ status: 'exited' });
  await saveContainer(ctx, container);
  container.announceExit();
  return true;
}
