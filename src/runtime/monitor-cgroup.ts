import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { log } from '#log';
import { type Cgroups, ownCgroupPath } from './cgroups.ts';

const delayMs = 2_000;

/**
 * Where processes go that must not end with our own service: a manager stops a service by its cgroup. Undefined when we
 * are in no cgroup but the root, so nothing stops us that way.
 */
export function monitorFolder(cgroups: Cgroups, parent: string, ownCgroups?: string): string | undefined {
  const path = ownCgroupPath(cgroups.version, ownCgroups);
  const root = cgroups.folder('name=systemd');
  return path === undefined || path === '/' || root === undefined ? undefined : join(root, parent, 'conmon');
}

/**
 * Takes a conmon out of our service's cgroup. Moving a process waits for all others to pass a quiet point, some milliseconds
 * that a create would pay as well: it happens later, and not at all when `isNeeded` says that the container has ended.
 */
export function moveMonitorLater(
  monitor: { pid: number; isNeeded: () => boolean },
  cgroups: Cgroups,
  parent: string,
): void {
  const folder = monitorFolder(cgroups, parent);
  if (folder === undefined) return;
  setTimeout(() => {
    if (monitor.isNeeded()) void moveTo(folder, monitor.pid);
  }, delayMs).unref();
}

async function moveTo(folder: string, pid: number): Promise<void> {
  try {
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, 'cgroup.procs'), String(pid));
  } catch (error) {
    log.debug('conmon stays in our cgroup', { error });
  }
}
