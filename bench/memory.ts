/** Memory of an engine: the daemon, what it started, and who watches over containers, but not the containers themselves. */
import { readdirSync, readFileSync } from 'node:fs';
import { isErrno } from '#errdefs';

export interface Memory {
  readonly rssBytes: number;
  readonly pssBytes: number;
}

/** The daemon, its descendants and the parents of the containers' inits, without the inits and what is below them. */
export function engineProcesses(daemonPid: number, initPids: readonly number[]): readonly number[] {
  const parents = parentsByPid();
  const inContainer = (pid: number): boolean =>
    initPids.includes(pid) || (parents.has(pid) && inContainer(parents.get(pid)!));
  const isBelow = (pid: number): boolean => pid === daemonPid || (parents.has(pid) && isBelow(parents.get(pid)!));
  // An init whose monitor is gone belongs to the machine's own.
  const monitors = new Set(initPids.flatMap((pid) => parents.get(pid) ?? []).filter((pid) => pid > 1));
  return [...parents.keys()].filter((pid) => !inContainer(pid) && (monitors.has(pid) || isBelow(pid)));
}

export function engineMemory(pids: readonly number[]): Memory {
  const all = pids.map(memoryOf);
  const sum = (key: keyof Memory) => all.reduce((total, memory) => total + memory[key], 0);
  return { rssBytes: sum('rssBytes'), pssBytes: sum('pssBytes') };
}

function parentsByPid(): Map<number, number> {
  const parents = new Map<number, number>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const parent = /^PPid:\s+(\d+)$/m.exec(readText(`/proc/${name}/status`))?.[1];
    if (parent !== undefined) parents.set(Number(name), Number(parent));
  }
  return parents;
}

function memoryOf(pid: number): Memory {
  const text = readText(`/proc/${pid}/smaps_rollup`);
  const bytes = (key: string) => Number(new RegExp(`^${key}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1] ?? 0) * 1024;
  return { rssBytes: bytes('Rss'), pssBytes: bytes('Pss') };
}

/** Empty for a process that has ended. */
function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT') || isErrno(error, 'ESRCH')) return '';
    throw error;
  }
}
