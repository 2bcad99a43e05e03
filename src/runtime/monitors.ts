import { readdirSync, readFileSync } from 'node:fs';
import { isErrno } from '#errdefs';

/** A process that works on a container of one run root: conmon, the OCI runtime, or the helper in front of it. */
export interface Monitor {
  readonly pid: number;
  readonly containerID: string;
}

/** All such processes on the machine, found by the state folder they were told of. They outlive the daemon that started them. */
export function monitorsOf(stateFolder: string): Monitor[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      const containerID = containerOf(commandLine(name), stateFolder);
      return containerID === undefined ? [] : [{ pid: Number(name), containerID }];
    });
}

/** conmon names the container after `--cid`, the runtime at the end. Undefined for a process of somebody else's. */
export function containerOf(args: readonly string[], stateFolder: string): string | undefined {
  if (!args.includes(`--root=${stateFolder}`)) return undefined;
  const at = args.indexOf('--cid');
  return at < 0 ? args.at(-1) : args[at + 1];
}

/** Empty for a kernel thread, a zombie, and a process that has just ended. */
function commandLine(pid: string): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`).toString().replace(/\0$/, '').split('\0');
  } catch (error) {
    if (isErrno(error, 'ENOENT') || isErrno(error, 'ESRCH')) return [];
    throw error;
  }
}
