import { cleanup } from '#concurrency';
import { EngineError, messageOf } from '#errdefs';
import { log } from '#log';
import { type LogLimits, type RunningProcess, StartError } from '#runtime';
import type { EngineContext } from '../context.ts';
import { remapOf } from '../remap/index.ts';
import { formatMs } from '../time.ts';
import { traced } from '../trace.ts';
import { aheadBytes } from '../trash/index.ts';
import { lendCaches } from './cache-lends.ts';
import type { Container } from './container.ts';
import { emitContainer, emitNetworkConnects, emitVolumeMounts } from './events.ts';
import { handleExit, releaseResources } from './exit.ts';
import { beginHealth } from './health.ts';
import { mountImages } from './image-mounts.ts';
import { tellParents } from './links/index.ts';
import { logLimits } from './log-config.ts';
import { checkLogDetails } from './log-details.ts';
import { beginForward, prepareForward, resumeForward } from './log-forward/index.ts';
import { makeMountPoints } from './mount-places.ts';
import { connectNetworks } from './networking.ts';
import { containerPaths } from './paths.ts';
import { removeLocked } from './remove.ts';
import { containerSpec } from './spec.ts';
import { endDebugging } from './step-debug.ts';
import { saveContainer } from './store.ts';
import { holdVolumes } from './volume-holds.ts';

/** From a stopped container to a running one; the caller holds its lock. A failure leaves it stopped, its error recorded and nothing held. */
export async function launch(ctx: EngineContext, container: Container): Promise<void> {
  try {
    await traced('start', container.id, () => bringUp(ctx, container));
  } catch (error) {
    await recordFailure(ctx, container, error);
    throw error;
  }
}

async function bringUp(ctx: EngineContext, container: Container): Promise<void> {
  const { id } = container;
  await ctx.trash.keepFree(aheadBytes);
  const limits = await logOf(ctx, container);
  ctx.runtime.anticipate();
  const [{ root }, network] = await bothOrNone(
    traced('mount', id, () => ctx.snapshots.mount(id, remapOf(ctx, container.body.hostConfig))),
    traced('network', id, () => connectNetworks(ctx, container)),
  );
  await mountImages(ctx, container);
  await holdVolumes(ctx, container);
  await lendCaches(ctx, container);
  emitVolumeMounts(ctx, container);
  const spec = containerSpec(ctx, container, { root, network });
  makeMountPoints(root, spec.mounts, remapOf(ctx, container.body.hostConfig)?.mapping);
  const { config } = container.body;
  const stdio = {
    openStdin: config.OpenStdin ?? false,
    stdinOnce: config.StdinOnce ?? false,
    ...(limits ? { logPath: limits.path } : {}),
  };
  const created = await traced('runtime-create', id, () => ctx.runtime.create(spec, stdio));
  emitNetworkConnects(ctx, container);
  await traced('attach', id, () => container.connectPending(created.process));
  await traced('runtime-start', id, () => created.start());
  container.setState({
    status: 'running',
    pid: created.pid,
    exitCode: 0,
    oomKilled: false,
    error: '',
    startedAt: formatMs(created.process.startedAt.getTime()),
  });
  beginHealth(ctx, container);
  if (limits) ctx.runtime.keepLog(id, limits);
  beginForward(ctx, container, created.process.exited);
  watchExit(ctx, container, created.process);
  await traced('record', id, () => saveContainer(ctx, container));
  tellParents(ctx, container);
  emitContainer(ctx, container, 'start');
}

/** Undefined when nothing is logged. @throws `internal` in dockerd's words for options that cannot be used, and a server that is not there. */
async function logOf(ctx: EngineContext, container: Container): Promise<LogLimits | undefined> {
  try {
    checkLogDetails(container);
    const limits = logLimits(container.body.hostConfig.LogConfig, containerPaths(ctx, container.id).log);
    await prepareForward(ctx, container);
    return limits;
  } catch (cause) {
    const message = `failed to create task for container: failed to initialize logging driver: ${messageOf(cause)}`;
    throw new EngineError('internal', message, { cause });
  }
}

/** Two works side by side. A failure is thrown only when the other has come to its end as well, so that what it holds can be let go of. */
async function bothOrNone<A, B>(first: Promise<A>, second: Promise<B>): Promise<[A, B]> {
  await Promise.allSettled([first, second]);
  return Promise.all([first, second]);
}

/** Sees the process's end through, whoever started it, and the next start after it. */
export function watchExit(ctx: EngineContext, container: Container, process: RunningProcess): void {
  process.exited
    .then((status) => handleExit(ctx, container, status))
    .then(() => restartLater(ctx, container))
    .catch((error: unknown) => log.error('handling a container exit failed', { container: container.id, error }));
}

/** Starts a container that its policy wants again, after the delay. Nothing happens to one that does not wait for that. */
export function restartLater(ctx: EngineContext, container: Container): void {
  if (container.body.state.status !== 'restarting') return;
  container.restartAfterDelay(async () => {
    using _held = await container.lock.acquire();
    if (ctx.containers.get(container.id) !== container || container.body.state.status !== 'restarting') return;
    await launch(ctx, container).catch((error: unknown) =>
      log.warn('a container could not be started again', { container: container.id, error }),
    );
  });
}

/** Docker records 127 for a command that is not there, 126 for one that cannot be executed, 128 for the rest. */
async function recordFailure(ctx: EngineContext, container: Container, error: unknown): Promise<void> {
  const wasRestarting = container.body.state.status === 'restarting';
  container.process = undefined;
  container.failPending(error);
  container.setState({
    status: container.body.state.startedAt.startsWith('0001') ? 'created' : 'exited',
    pid: 0,
    exitCode: error instanceof StartError ? error.exitCode : 128,
    error: messageOf(error),
  });
  endDebugging(container);
  await cleanup(`start of container ${container.id}`, async () => {
    await resumeForward(ctx, container);
    await releaseResources(ctx, container);
    await saveContainer(ctx, container);
  });
  // Who waits for the end of a run hears of it where there is one to end; a run that never began is waited for on.
  if (wasRestarting) container.announceExit();
  if (container.body.hostConfig.AutoRemove) await removeLocked(ctx, container, { volumes: true });
}
