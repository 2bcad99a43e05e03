import { cleanup } from '#concurrency';
import type { ExitStatus } from '#runtime';
import type { EngineContext } from '../context.ts';
import { formatMs } from '../time.ts';
import { traced } from '../trace.ts';
import { releaseCaches } from './cache-lends.ts';
import type { Container } from './container.ts';
import { emitContainer, emitVolumeUnmounts } from './events.ts';
import { hasHeldMounts, releaseMounts } from './held-mounts.ts';
import { releaseImages } from './image-mounts.ts';
import { drainForward } from './log-forward/index.ts';
import { disconnectNetworks } from './networking.ts';
import { removeLocked } from './remove.ts';
import { nextDelayMs, wantsRestart } from './restart-policy.ts';
import { releaseShm } from './shm.ts';
import { endDebugging } from './step-debug.ts';
import { saveContainer } from './store.ts';
import { releaseVolumes } from './volume-holds.ts';

/**
 * A container's process has ended: record it, let go of what it held, wake who waits, remove it when it asked for that. It is left `restarting`
 * when its policy wants the next start.
 */
export function handleExit(ctx: EngineContext, container: Container, status: ExitStatus): Promise<void> {
  return traced('exit', container.id, () => settleExit(ctx, container, status));
}

async function settleExit(ctx: EngineContext, container: Container, status: ExitStatus): Promise<void> {
  using _held = await container.lock.acquire();
  if (ctx.containers.get(container.id) !== container) return;
  container.beginExit();
  try {
    await settleHeld(ctx, container, status);
  } catch (error) {
    container.announceExit();
    throw error;
  }
}

async function settleHeld(ctx: EngineContext, container: Container, status: ExitStatus): Promise<void> {
  container.process = undefined;
  container.stopHealth();
  const again = decideRestart(container, status);
  container.setState({
    status: again ? 'restarting' : 'exited',
    pid: 0,
    exitCode: status.exitCode,
    oomKilled: status.oomKilled,
    finishedAt: formatMs(status.finishedAt.getTime()),
  });
  endDebugging(container);
  const autoRemove = (container.body.hostConfig.AutoRemove ?? false) && !container.keepAfterExit && !again;
  if (!autoRemove) await saveContainer(ctx, container);
  if (status.oomKilled) emitContainer(ctx, container, 'oom');
  // Who is told of the end may use at once what the container held: its ports, its addresses.
  await Promise.all([
    cleanup(`container ${container.id}`, () => releaseResources(ctx, container)),
    drainForward(container),
  ]);
  container.announceExit();
  if (!autoRemove) await saveContainer(ctx, container);
  emitContainer(ctx, container, 'die', { exitCode: String(status.exitCode), execDuration: executedSeconds(container) });
  if (autoRemove) await removeLocked(ctx, container, { volumes: true });
}

/** Counts the restart and its delay when there is to be one. */
function decideRestart(container: Container, status: ExitStatus): boolean {
  const { hostConfig, restartCount, stoppedByHand = false, state } = container.body;
  const end = { exitCode: status.exitCode, restartCount, stoppedByHand };
  const wanted =
    container.restartRequested || (!container.stopRequested && wantsRestart(hostConfig.RestartPolicy, end));
  if (container.restartRequested) container.stopRequested = false;
  container.restartRequested = false;
  if (!wanted) return false;
  const ranMs = status.finishedAt.getTime() - Date.parse(state.startedAt);
  container.restartDelayMs = nextDelayMs(container.restartDelayMs, ranMs);
  container.body = { ...container.body, restartCount: restartCount + 1 };
  return true;
}

function executedSeconds(container: Container): string {
  const { startedAt, finishedAt } = container.body.state;
  return String(Math.max(0, Math.floor((Date.parse(finishedAt) - Date.parse(startedAt)) / 1000)));
}

/** Network, runtime state and mount of a container that does not run. Each part is tried even when another fails. */
export async function releaseResources(ctx: EngineContext, container: Container): Promise<void> {
  const { id } = container;
  const parts = await Promise.allSettled([
    traced('disconnect', id, () => disconnectNetworks(ctx, container)),
    traced('runtime-delete', id, () => ctx.runtime.delete(id, { force: true })).then(async () => {
      await traced('unmount', id, () => ctx.snapshots.unmount(id));
      await releaseVolumes(ctx, container);
    }),
    container.body.hostConfig.IpcMode === 'shareable' ? releaseShm(ctx, id) : undefined,
    releaseHeld(ctx, container),
  ]);
  const failed = parts.find((part) => part.status === 'rejected');
  emitVolumeUnmounts(ctx, container);
  if (failed) throw failed.reason;
}

/** Parts of images hold the images they are of. */
async function releaseHeld(ctx: EngineContext, container: Container): Promise<void> {
  if (hasHeldMounts(ctx, container)) await releaseMounts(ctx, container.id);
  await releaseImages(ctx, container);
  await releaseCaches(container);
}
