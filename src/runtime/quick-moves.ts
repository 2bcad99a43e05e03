import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { log } from '#log';
import { type Cgroups, ownCgroupPath } from './cgroups.ts';

/** From being told of a move to the runtime making it, on a machine that is not overloaded. */
const holdMs = 40;
/** Well below the grace period that a write is remembered for. */
const pauseMs = 4;

/** The list of processes of the cgroup that this process is in. */
export function ownProcessList(cgroups: Cgroups, ownCgroups?: string): string | undefined {
  const path = ownCgroupPath(cgroups.version, ownCgroups);
  const root = cgroups.folder('name=systemd');
  return path === undefined || root === undefined ? undefined : join(root, path, 'cgroup.procs');
}

/**
 * Takes a wait out of the runtime's way. The first move of a process between cgroups waits for an RCU grace period, 10 ms or so, in which all CPUs
 * come to know that somebody moves processes; those that follow within a grace period do not. So as soon as a container or an exec is on
 * its way we move ourselves to where we are, which changes nothing, and the kernel waits while we mount and connect.
 */
export class QuickMoves {
  readonly #path: () => string | undefined;
  #untilMs = 0;
  #running = false;

  /** `path`: the process list of our own cgroup; undefined when there is none, and nothing is done. */
  constructor(path: () => string | undefined) {
    this.#path = path;
  }

  /** A move is about to be made. Does not wait. */
  expect(): void {
    this.#untilMs = performance.now() + holdMs;
    if (!this.#running) void this.#hold();
  }

  stop(): void {
    this.#untilMs = 0;
  }

  async #hold(): Promise<void> {
    this.#running = true;
    try {
      while (performance.now() < this.#untilMs) {
        const path = this.#path();
        if (path === undefined) return;
        // Not created when it is missing: it would be a file in a place that is none of our business.
        await writeFile(path, String(process.pid), { flag: 'r+' });
        await delay(pauseMs, undefined, { ref: false });
      }
    } catch (error) {
      log.debug('moves between cgroups are not prepared', { error });
    } finally {
      this.#running = false;
    }
  }
}
