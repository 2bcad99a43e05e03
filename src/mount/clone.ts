import { cloneFlags, sys } from '#sys';

export interface CloneOptions {
  /** Whose IDs are shown; absent: those of the source. */
  readonly userNamespace?: number | undefined;
  /** With what is mounted below the source. */
  readonly recursive?: boolean | undefined;
  /** With what is mounted there later, too. */
  readonly follows?: boolean | undefined;
  readonly readOnly?: boolean | undefined;
}

/**
 * Mounts what is at `source` at `target`, which is there and a folder where the source is one. It can be unmounted with all that is below: unlike
 * that of a bind, which on machines whose mounts are shared (systemd's are) takes the source's own mounts with it.
 */
export function mountClone(source: string, target: string, options: CloneOptions = {}): void {
  const flags =
    (options.recursive ? cloneFlags.recursive : 0) |
    (options.follows ? cloneFlags.slave : 0) |
    (options.readOnly ? cloneFlags.readOnly : 0);
  sys.cloneMount(source, target, options.userNamespace ?? -1, flags);
}
