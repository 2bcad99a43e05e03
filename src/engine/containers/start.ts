import { cleanup } from '#concurrency';
import { EngineError, messageOf } from '#errdefs';
import { log } from '#log';
import { type RunningProcess, StartError } from '#runtime';
import type { EngineContext } from '../context.ts';
import { formatMs } from '../time.ts';
import { traced } from '../trace.ts';
import type { Container } from './container.ts';
import { emitContainer, emitNetworkConnects, emitVolumeMounts } from './events.ts';
import { handleExit, releaseResources } from './exit.ts';
import { connectNetworks } from './networking.ts';
import { containerPaths } from './paths.ts';
import { removeLocked } from './remove.ts';
import { containerSpec } from './spec.ts';
import { type StopOptions, stopContainer, stopSignal } from './stop.ts';
import { saveContainer } from './store.ts';

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
  container.stopRequested = false;
  try {
    await traced('start', container.id, () => launch(ctx, container));
  } catch (error) {
    await recordFailure(ctx, container, error);
    throw error;
  }
}

async function launch(ctx: EngineContext, container: Container): Promise<void> {
  const { id } = container;
  ctx.runtime.anticipate();
  const [{ root }, network] = await bothOrNone(
    traced('mount', id, () => ctx.snapshots.mount(id)),
    traced('network', id, () => connectNetworks(ctx, container)),
  );
  emitVolumeMounts(ctx, container);
  emitNetworkConnects(ctx, container);
  const spec = containerSpec(ctx, container, { root, network });
  const { config, hostConfig } = container.body;
  const stdio = {
    openStdin: config.OpenStdin ?? false,
    stdinOnce: config.StdinOnce ?? false,
    ...(hostConfig.LogConfig?.Type === 'none' ? {} : { logPath: containerPaths(ctx, id).log }),
  };
  const created = await traced('runtime-create', id, () => ctx.runtime.create(spec, stdio));
  await traced('attach', id, () => container.connectPending(created.process));
  await traced('runtime-start', id, () => created.start());
  container.setState({
    status: 'running',
    pid: created.pid,
    exitCode: 0,
    oomKilled: false,
    error: '',
    startedAt: formatMs(created.process.startedAt.getTime()),
    finishedAt: '0001-01-01T00:00:00Z',
  });
  watchExit(ctx, container, created.process);
  await traced('record', id, () => saveContainer(ctx, container));
  emitContainer(ctx, container, 'start');
}

/** Two works side by side. A failure is thrown only when the other has come to its end as well, so that what it holds can be let go of. */
async function bothOrNone<A, B>(first: Promise<A>, second: Promise<B>): Promise<[A, B]> {
  await Promise.allSettled([first, second]);
  return Promise.all([first, second]);
}

/** Sees the process's end through, whoever started it. */
export function watchExit(ctx: EngineContext, container: Container, process: RunningProcess): void {
  process.exited
    .then((status) => handleExit(ctx, container, status))
    .catch((error: unknown) => log.error('handling a container exit failed', { container: container.id, error }));
}

/** Docker records 127 for a command that is not there, 126 for one that cannot be executed, 128 for the rest. */
async function recordFailure(ctx: EngineContext, container: Container, error: unknown): Promise<void> {
  container.process = undefined;
  container.failPending(error);
  container.setState({
    status: container.body.state.startedAt.startsWith('0001') ? 'created' : 'exited',
    pid: 0,
    exitCode: error instanceof StartError ? error.exitCode : 128,
    error: messageOf(error),
  });
  await cleanup(`start of container ${container.id}`, async () => {
    await releaseResources(ctx, container);
    await saveContainer(ctx, container);
  });
  container.announceExit();
  if (container.body.hostConfig.AutoRemove) await removeLocked(ctx, container, { volumes: true });
}

/** `POST /containers/{id}/restart`: stop when it runs, then start. */
export async function restartContainer(
  ctx: EngineContext,
  reference: string,
  options: StopOptions = {},
): Promise<void> {
  const container = ctx.containers.resolve(reference);
  stopSignal(container, options, `Cannot restart container ${reference}`);
  if (container.isRunning) await stopContainer(ctx, container.id, options);
  await startContainer(ctx, container.id);
  emitContainer(ctx, container, 'restart');
}
