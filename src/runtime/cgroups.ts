import { readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { delay } from '#concurrency';
import { EngineError, isErrno } from '#errdefs';
import { readCgroupStats } from './cgroup-stats.ts';
import type { CgroupStats } from './types.ts';

/** Where the cgroup hierarchies of this machine are mounted. */
export interface Cgroups {
  readonly version: 1 | 2;
  /** One folder on v2, one per hierarchy on v1. */
  readonly roots: readonly string[];
  /** By v1 controller; on v2 every controller is the one root. */
  folder(controller: string): string | undefined;
}

/** Reads the mount table. A hybrid machine counts as v1: its controllers are there. */
export function findCgroups(mountInfo = readFileSync('/proc/self/mountinfo').toString()): Cgroups {
  const byController = new Map<string, string>();
  const v1Roots = new Set<string>();
  let unified: string | undefined;
  for (const line of mountInfo.split('\n')) {
    const [head = '', tail = ''] = line.split(' - ');
    const target = head.split(' ')[4];
    const [type, , options = ''] = tail.split(' ');
    if (target === undefined || !target.startsWith('/sys/fs/cgroup')) continue;
    if (type === 'cgroup2') unified ??= target;
    if (type !== 'cgroup') continue;
    v1Roots.add(target);
    for (const option of options.split(',')) byController.set(option, target);
  }
  if (v1Roots.size > 0) {
    // runc makes its cgroup in the v2 hierarchy of a hybrid machine as well.
    const roots = unified === undefined ? [...v1Roots] : [...v1Roots, unified];
    return { version: 1, roots, folder: (controller) => byController.get(controller) };
  }
  if (unified === undefined) throw new EngineError('failed-precondition', 'no cgroup hierarchy is mounted');
  const root = unified;
  return { version: 2, roots: [root], folder: () => root };
}

/** Where this process is in the hierarchy that only groups processes: a path below {@link Cgroups.folder} `name=systemd`. */
export function ownCgroupPath(
  version: Cgroups['version'],
  ownCgroups = readFileSync('/proc/self/cgroup').toString(),
): string | undefined {
  return (version === 2 ? /^0::(.*)$/m : /^\d+:name=systemd:(.*)$/m).exec(ownCgroups)?.[1];
}

/** One container's cgroup in every hierarchy. Files the kernel does not offer read as absent. */
export class Cgroup {
  readonly #cgroups: Cgroups;
  readonly #path: string;

  constructor(cgroups: Cgroups, path: string) {
    this.#cgroups = cgroups;
    this.#path = path;
  }

  /** Whether the kernel killed a process of it for want of memory. */
  wasOomKilled(): boolean {
    const name = this.#cgroups.version === 2 ? 'memory.events' : 'memory.oom_control';
    const killed = /^oom_kill (\d+)$/m.exec(this.#read('memory', name) ?? '')?.[1];
    return killed !== undefined && killed !== '0';
  }

  stats(): CgroupStats {
    return readCgroupStats(this.#cgroups.version, (controller, file) => this.#read(controller, file));
  }

  /** Host pids, those of cgroups made inside it included. */
  processes(): number[] {
    const root = this.#folder('pids') ?? this.#folder('memory');
    return root === undefined ? [] : processesBelow(root);
  }

  /** @throws `deadline-exceeded` when a process cannot be stopped within the limit. */
  async freeze(signal?: AbortSignal): Promise<void> {
    await this.#setFrozen(true, signal);
  }

  async thaw(signal?: AbortSignal): Promise<void> {
    await this.#setFrozen(false, signal);
  }

  async #setFrozen(frozen: boolean, signal: AbortSignal | undefined): Promise<void> {
    const v2 = this.#cgroups.version === 2;
    const file = v2 ? 'cgroup.freeze' : 'freezer.state';
    const wanted = v2 ? (frozen ? '1' : '0') : frozen ? 'FROZEN' : 'THAWED';
    const folder = this.#folder('freezer');
    if (folder === undefined) throw new EngineError('not-implemented', 'the machine has no freezer cgroup');
    for (let tries = 0; tries < 200; tries++) {
      writeFileSync(join(folder, file), wanted);
      if (this.#isFrozen(folder, v2) === frozen) return;
      await delay(tries < 20 ? 1 : 10, { signal });
    }
    if (frozen) writeFileSync(join(folder, file), v2 ? '0' : 'THAWED');
    throw new EngineError('deadline-exceeded', `freeze ${this.#path}: a process does not stop`);
  }

  #isFrozen(folder: string, v2: boolean): boolean {
    if (v2) return /^frozen 1$/m.test(readFileSync(join(folder, 'cgroup.events')).toString());
    return readFileSync(join(folder, 'freezer.state')).toString().startsWith('FROZEN');
  }

  liftPidsLimit(): void {
    this.#write('pids', 'pids.max', 'max');
  }

  liftCpuQuota(): void {
    if (this.#cgroups.version === 2) this.#write('cpu', 'cpu.max', 'max');
    else this.#write('cpu', 'cpu.cfs_quota_us', '-1');
  }

  #write(controller: string, file: string, value: string): void {
    const folder = this.#folder(controller);
    if (folder === undefined) throw new EngineError('not-implemented', `the machine has no ${controller} cgroup`);
    writeFileSync(join(folder, file), value);
  }

  /** Removes it from every hierarchy. False when a process is still in it; absent is fine. */
  remove(): boolean {
    return this.#cgroups.roots.map((root) => removeTree(join(root, this.#path))).every(Boolean);
  }

  #folder(controller: string): string | undefined {
    const root = this.#cgroups.folder(controller);
    return root === undefined ? undefined : join(root, this.#path);
  }

  #read(controller: string, file: string): string | undefined {
    const folder = this.#folder(controller);
    if (folder === undefined) return undefined;
    return unlessAbsent(() => readFileSync(join(folder, file)).toString());
  }
}

function processesBelow(folder: string): number[] {
  const text = unlessAbsent(() => readFileSync(join(folder, 'cgroup.procs')).toString()) ?? '';
  return [...text.split('\n').filter(Boolean).map(Number), ...childrenOf(folder).flatMap(processesBelow)];
}

function childrenOf(folder: string): string[] {
  const entries = unlessAbsent(() => readdirSync(folder, { withFileTypes: true })) ?? [];
  return entries.filter((entry) => entry.isDirectory()).map((entry) => join(folder, entry.name));
}

/** Mostly there are no children, so the folder itself is tried first. */
function removeTree(folder: string): boolean {
  for (const children of [() => [], () => childrenOf(folder)]) {
    for (const child of children()) removeTree(child);
    try {
      rmdirSync(folder);
      return true;
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return true;
      if (!isErrno(error, 'EBUSY') && !isErrno(error, 'ENOTEMPTY')) throw error;
    }
  }
  return false;
}

function unlessAbsent<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (isErrno(error, 'ENOENT') || isErrno(error, 'ENODEV')) return undefined;
    throw error;
  }
}
