import { setTimeout as delay } from 'node:timers/promises';
import { isErrno } from '#errdefs';
import { log } from '#log';
import { Cgroup } from './cgroups.ts';
import { monitorsOf } from './monitors.ts';
import { discard, type RuntimeHost } from './runtime-host.ts';

const sigkill = 9;
const endTimeoutMs = 10_000;

type Host = RuntimeHost;

/** IDs of containers that an earlier daemon left something of, except those in `keep`. */
export function leftoverIDs({ root, exits }: Pick<Host, 'root' | 'exits'>, keep: ReadonlySet<string>): string[] {
  const traces = [
    ...root.list(),
    ...root.states(),
    ...exits.list(),
    ...monitorsOf(root.stateFolder).map(({ containerID }) => containerID),
  ];
  return [...new Set(traces)].filter((id) => !keep.has(id));
}

/**
 * Ends and removes every container that is not in `keep`. A conmon goes on with what a killed daemon asked it for, so what is about to
 * become a container is ended first: nothing new appears while the rest is removed.
 */
export async function removeLeftovers(host: Host, keep: ReadonlySet<string>): Promise<void> {
  await killUntilGone(() =>
    monitorsOf(host.root.stateFolder).flatMap(({ pid, containerID }) => (keep.has(containerID) ? [] : [pid])),
  );
  for (const id of leftoverIDs(host, keep)) {
    try {
      await endContainer(host, id);
    } catch (error) {
      log.warn('a container of an earlier daemon cannot be removed', { container: id, error });
    }
  }
}

/**
 * Ends and removes a container whose making was given up. conmon takes the runtime with it only a moment after its own end, and until then
 * that goes on making what is removed here.
 */
export async function removeUnfinished(host: Host, id: string): Promise<void> {
  await killUntilGone(() =>
    monitorsOf(host.root.stateFolder).flatMap(({ pid, containerID }) => (containerID === id ? [pid] : [])),
  );
  await endContainer(host, id);
}

async function endContainer(host: Host, id: string): Promise<void> {
  const cgroupPath = host.root.facts(id)?.cgroupPath;
  if (cgroupPath !== undefined) {
    const cgroup = new Cgroup(host.cgroups, cgroupPath);
    // A frozen process dies only when it is thawed; a cgroup without a freezer holds none.
    if (cgroup.processes().length > 0) await cgroup.thaw().catch(() => {});
    await killUntilGone(() => cgroup.processes());
  }
  await discard(host, id, cgroupPath);
}

/** New ones may appear until the last that can make them is gone. */
async function killUntilGone(find: () => readonly number[]): Promise<void> {
  const deadline = performance.now() + endTimeoutMs;
  for (let pids = find(); pids.length > 0 && performance.now() < deadline; pids = find()) {
    for (const pid of pids) killIfThere(pid);
    await delay(5);
  }
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, sigkill);
  } catch (error) {
    if (!isErrno(error, 'ESRCH')) throw error;
  }
}
