import type { HostConfig, Ulimit } from '#api-types';

/** What the daemon's configuration gives containers that do not say otherwise. */
export interface ContainerDefaults {
  readonly ulimits?: readonly Ulimit[];
  readonly shmSizeBytes?: number;
  readonly ipcMode?: 'private' | 'shareable';
  readonly cgroupnsMode?: 'host' | 'private';
  /** An init in front of every command, and the program that is it. */
  readonly init?: boolean;
  readonly initPath?: string;
  readonly noNewPrivileges?: boolean;
  readonly cgroupParent?: string;
}

/** The defaults that become a container's own when it is made, and stay when the daemon is told others. The rest are asked for at every start. */
export function withContainerDefaults(given: HostConfig, defaults: ContainerDefaults = {}): HostConfig {
  const cgroupns = given.CgroupnsMode || (given.Privileged ? undefined : defaults.cgroupnsMode);
  const ipc = given.IpcMode || defaults.ipcMode;
  const shmSize = given.ShmSize || defaults.shmSizeBytes;
  return {
    ...given,
    ...(defaults.ulimits ? { Ulimits: joinUlimits(given.Ulimits ?? [], defaults.ulimits) } : {}),
    ...(shmSize ? { ShmSize: shmSize } : {}),
    ...(ipc ? { IpcMode: ipc } : {}),
    ...(cgroupns ? { CgroupnsMode: cgroupns } : {}),
  };
}

/** The container's own, then the daemon's of other names. */
export function joinUlimits(own: readonly Ulimit[], defaults: readonly Ulimit[] = []): readonly Ulimit[] {
  const names = new Set(own.map(({ Name }) => Name));
  return [...own, ...defaults.filter(({ Name }) => !names.has(Name))];
}

/** Processes of a container with another's or the host's PIDs have an init already. */
export function wantsInit({ Init, PidMode }: Pick<HostConfig, 'Init' | 'PidMode'>, defaults?: ContainerDefaults) {
  return (PidMode ?? '') === '' && (Init ?? defaults?.init ?? false);
}
