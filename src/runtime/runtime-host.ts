import { setTimeout as delay } from 'node:timers/promises';
import { log } from '#log';
import { Cgroup, type Cgroups } from './cgroups.ts';
import { runtimeEnvironment } from './conmon.ts';
import type { Exits } from './exits.ts';
import { runCommand } from './host-command.ts';
import type { RunRoot } from './run-root.ts';
import type { RuntimeInfo } from './types.ts';

/** What there is of runtimes on this machine, for one daemon. */
export interface RuntimeHost {
  readonly info: RuntimeInfo;
  readonly root: RunRoot;
  readonly cgroups: Cgroups;
  readonly exits: Exits;
}

/** The same for a container: with the runtime it was made by. */
export function hostOf<H extends Pick<RuntimeHost, 'info' | 'root'>>(host: H, id: string): H {
  const runtime = host.root.facts(id)?.runtime;
  if (runtime === undefined) return host;
  const { wrapperPath: _others, ...info } = host.info;
  return { ...host, info: { ...info, ...runtime } };
}

/** Runs the OCI runtime itself. @throws ExitError with what it said. */
export function runRuntime(host: RuntimeHost, args: readonly string[]): Promise<string> {
  const { wrapperPath, path, args: own } = host.info;
  return runCommand(wrapperPath ?? path, [...own, `--root=${host.root.stateFolder}`, ...args], {
    env: runtimeEnvironment(host.info),
  });
}

/**
 * Removes everything of a container that has ended. What the runtime keeps is its cgroup and its state folder under our own
 * root; removing both here saves a process. Only when a cgroup is busy, the runtime is asked to kill what is in it.
 */
export async function discard(host: RuntimeHost, id: string, cgroupPath: string | undefined): Promise<void> {
  if (cgroupPath === undefined || !(await removeCgroup(new Cgroup(host.cgroups, cgroupPath)))) {
    await runRuntime(hostOf(host, id), ['delete', '--force', id]).catch((error: unknown) => {
      log.debug('the runtime could not delete a container', { container: id, error });
    });
    if (cgroupPath !== undefined && !(await removeCgroup(new Cgroup(host.cgroups, cgroupPath)))) {
      log.warn('the cgroup of a container stays: something in it does not end', { container: id, cgroup: cgroupPath });
    }
  }
  host.root.removeState(id);
  host.root.removeBundle(id);
  host.exits.forget(id);
}

/** The last process of a container leaves its cgroup a moment after its end is known. */
async function removeCgroup(cgroup: Cgroup): Promise<boolean> {
  for (let waitMs = 1; waitMs <= 32; waitMs *= 2) {
    if (cgroup.remove()) return true;
    await delay(waitMs);
  }
  return false;
}
