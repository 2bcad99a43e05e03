import type { Ulimit } from '#api-types';
import { EngineError } from '#errdefs';
import { parseInteger } from '#http';
import type { OptionValue } from './daemon-option.ts';

/** What containers get that do not say otherwise. */
export interface ContainerDefaults {
  readonly ulimits: readonly Ulimit[];
  readonly noNewPrivileges: boolean;
  readonly init: boolean;
  readonly initPath?: string;
  readonly shmSizeBytes?: number;
  readonly ipcMode?: 'private' | 'shareable';
  readonly cgroupnsMode?: 'host' | 'private';
  readonly cgroupParent?: string;
}

/** @throws `invalid-argument` in dockerd's words for modes that cannot be a default. */
export function readContainerDefaults(values: ReadonlyMap<string, OptionValue>): ContainerDefaults {
  const text = (flag: string) => (values.get(flag) as string | undefined) || undefined;
  const ipcMode = ipcDefault(text('default-ipc-mode'));
  const cgroupnsMode = cgroupnsDefault(text('default-cgroupns-mode'));
  const initPath = text('init-path');
  const cgroupParent = text('cgroup-parent');
  if (initPath !== undefined && !initPath.startsWith('/')) {
    throw new EngineError('invalid-argument', `invalid init-path (${initPath}): must be an absolute path`);
  }
  const shmSizeBytes = values.get('default-shm-size') as number | undefined;
  return {
    ulimits: Object.values((values.get('default-ulimit') as Readonly<Record<string, Ulimit>> | undefined) ?? {}),
    noNewPrivileges: values.get('no-new-privileges') === true,
    init: values.get('init') === true,
    ...(initPath ? { initPath } : {}),
    ...(shmSizeBytes ? { shmSizeBytes } : {}),
    ...(ipcMode ? { ipcMode } : {}),
    ...(cgroupnsMode ? { cgroupnsMode } : {}),
    ...(cgroupParent ? { cgroupParent } : {}),
  };
}

function ipcDefault(mode: string | undefined): ContainerDefaults['ipcMode'] {
  if (mode === undefined || mode === 'shareable' || mode === 'private') return mode;
  const isMode = mode === 'host' || mode === 'none' || mode.startsWith('container:');
  const fault = isMode
    ? `IPC mode "${mode}" is not supported as default value`
    : `default IPC mode setting (${mode}) is invalid`;
  throw new EngineError('invalid-argument', `${fault}; use "shareable" or "private"`);
}

function cgroupnsDefault(mode: string | undefined): ContainerDefaults['cgroupnsMode'] {
  if (mode === undefined || mode === 'host' || mode === 'private') return mode;
  throw new EngineError('invalid-argument', `invalid default cgroup namespace (${mode}): use "host" or "private"`);
}

const ulimitNames = new Set(
  'core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack'.split(' '),
);

/** `nofile=1024:2048`. @throws a plain Error in Docker's words. */
export function parseUlimit(text: string): Readonly<Record<string, Ulimit>> {
  const at = text.indexOf('=');
  if (at < 0) throw new Error(`invalid ulimit argument: ${text}`);
  const name = text.slice(0, at);
  const limits = text.slice(at + 1).split(':');
  checkUlimitName(name);
  if (limits.length > 2) {
    throw new Error(`too many limit value arguments - ${text.slice(at + 1)}, can only have up to two, \`soft[:hard]\``);
  }
  const [soft = 0, hard = soft] = limits.map((limit) => parseInteger(limit, 'ParseInt'));
  checkUlimit(soft, hard);
  return { [name]: { Name: name, Hard: hard, Soft: soft } };
}

/** `{"nofile":{"Name":"nofile","Hard":2048,"Soft":1024}}`. Undefined for what is not of this form. */
export function decodeUlimits(value: unknown): Readonly<Record<string, Ulimit>> | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const ulimits: Record<string, Ulimit> = {};
  for (const [key, item] of Object.entries(value as Readonly<Record<string, unknown>>)) {
    if (typeof item !== 'object' || item === null) return undefined;
    const { Name = key, Hard = 0, Soft = 0, ...rest } = item as Readonly<Record<string, unknown>>;
    if (typeof Name !== 'string' || !Number.isSafeInteger(Hard) || !Number.isSafeInteger(Soft)) return undefined;
    if (Object.keys(rest).length > 0) return undefined;
    checkUlimitName(Name);
    checkUlimit(Soft as number, Hard as number);
    ulimits[Name] = { Name, Hard: Hard as number, Soft: Soft as number };
  }
  return ulimits;
}

function checkUlimitName(name: string): void {
  if (!ulimitNames.has(name)) throw new Error(`invalid ulimit type: ${name}`);
}

function checkUlimit(soft: number, hard: number): void {
  if (hard === -1) return;
  const must = 'ulimit soft limit must be less than or equal to hard limit';
  if (soft === -1) throw new Error(`${must}: soft: -1 (unlimited), hard: ${hard}`);
  if (soft > hard) throw new Error(`${must}: ${soft} > ${hard}`);
}
