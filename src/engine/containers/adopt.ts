import { setImmediate as nextTurn } from 'node:timers/promises';
import { isKind } from '#errdefs';
import { log } from '#log';
import type { RunningProcess } from '#runtime';
import type { EngineContext } from '../context.ts';
import { formatMs } from '../time.ts';
import type { Container } from './container.ts';
import { emitContainer } from './events.ts';
import { handleExit, releaseResources } from './exit.ts';
import { watchHealth } from './health.ts';
import { adoptImages } from './image-mounts.ts';
import { watchExit } from './launch.ts';
import { logLimits } from './log-config.ts';
import { adoptForward, drainForward } from './log-forward/index.ts';
import { adoptNetworks } from './networking.ts';
import { containerPaths } from './paths.ts';
import { removeLocked } from './remove.ts';
import { endDebugging } from './step-debug.ts';
import { saveContainer } from './store.ts';

/** What dockerd reports for a container of whose end nothing is known: the machine went down, say. */
const exitCodeOfUnknown = 255;

/**
 * At start, after the stores are in order: takes over containers that an earlier daemon left running, records the exits that happened
 * meanwhile, and removes what asked to be removed or was only half made or half removed.
 */
export async function adoptContainers(ctx: EngineContext, containers: readonly Container[]): Promise<void> {
  for (const container of containers) {
    try {
      if (container.isUp) await adoptRunning(ctx, container);
      else await settleStopped(ctx, container);
    } catch (error) {
      log.error('adopting a container failed', { container: container.id, error });
    }
  }
}

/** Its processes are gone already; the daemon may have been killed before everything else was let go of. */
async function settleStopped(ctx: EngineContext, container: Container): Promise<void> {
  const { unfinished, hostConfig, networks, state } = container.body;
  const wasStarted = !state.startedAt.startsWith('0001');
  if (wasStarted && !unfinished) adoptForward(ctx, container, Promise.resolve());
  endDebugging(container);
  if (unfinished || (hostConfig.AutoRemove && wasStarted)) {
    await drainForward(container);
    await removeLocked(ctx, container, { volumes: true });
  } else if (Object.values(networks).some(({ endpoint }) => endpoint)) {
    await releaseWhatIsLeft(ctx, container);
    await saveContainer(ctx, container);
  }
}

/** A power cut takes the snapshot too of a container that removes itself: nobody waited for the disk to have it. */
async function releaseWhatIsLeft(ctx: EngineContext, container: Container): Promise<void> {
  try {
    await releaseResources(ctx, container);
  } catch (error) {
    if (!isKind(error, 'not-found')) throw error;
    log.warn('a container that ended is not whole', { container: container.id, error });
  }
}

async function adoptRunning(ctx: EngineContext, container: Container): Promise<void> {
  await adoptMount(ctx, container);
  await adoptImages(ctx, container);
  const process = await ctx.runtime.adopt(container.id);
  adoptForward(ctx, container, process?.exited ?? Promise.resolve());
  if (!process) return await recordLoss(ctx, container);
  // Only now: with its processes, in a restart of the machine say, its network namespace went.
  await adoptNetworks(ctx, container);
  container.process = process;
  // An exit that happened already is handled before anybody can ask.
  const exit = await Promise.race([process.exited, nextTurn(undefined)]);
  if (exit) return await handleExit(ctx, container, exit);
  await followFreezer(ctx, container, process);
}

/** Without a mount there is nothing to give back later; after a restart of the machine no container has one. */
async function adoptMount(ctx: EngineContext, container: Container): Promise<void> {
  try {
    await ctx.snapshots.adopt(container.id);
  } catch (error) {
    if (!isKind(error, 'not-found')) throw error;
    log.warn('the root of a container is not mounted any more', { container: container.id });
  }
}

/** A daemon killed between the freezer and the record, in the middle of a commit say, left the two apart: the record counts. */
async function followFreezer(ctx: EngineContext, container: Container, process: RunningProcess): Promise<void> {
  try {
    if (container.body.state.status === 'paused') await ctx.runtime.pause(container.id);
    else await ctx.runtime.resume(container.id);
  } catch (error) {
    log.debug('an adopted container ended meanwhile', { container: container.id, error });
  }
  keepLog(ctx, container);
  if (container.body.state.status === 'running') watchHealth(ctx, container);
  watchExit(ctx, container, process);
}

/** It runs, so its options were good at its start. */
function keepLog(ctx: EngineContext, container: Container): void {
  const limits = logLimits(container.body.hostConfig.LogConfig, containerPaths(ctx, container.id).log);
  if (limits) ctx.runtime.keepLog(container.id, limits);
}

async function recordLoss(ctx: EngineContext, container: Container): Promise<void> {
  const exitCode = exitCodeOfUnknown;
  container.stopHealth();
  endDebugging(container);
  container.setState({ status: 'exited', pid: 0, exitCode, finishedAt: formatMs(Date.now()) });
  emitContainer(ctx, container, 'die', { exitCode: String(exitCode), execDuration: '0' });
  await releaseWhatIsLeft(ctx, container);
  await saveContainer(ctx, container);
  if (container.body.hostConfig.AutoRemove) await removeLocked(ctx, container, { volumes: true });
}
