import { readFileSync } from 'node:fs';
import type { ProcessSpec } from './types.ts';

export type Rlimit = NonNullable<ProcessSpec['rlimits']>[number];

/** By the kernel's numbers, getrlimit(2), each with its line in /proc/self/limits. */
const kinds: readonly (readonly [name: string, shown: string])[] = [
  ['CPU', 'Max cpu time'],
  ['FSIZE', 'Max file size'],
  ['DATA', 'Max data size'],
  ['STACK', 'Max stack size'],
  ['CORE', 'Max core file size'],
  ['RSS', 'Max resident set'],
  ['NPROC', 'Max processes'],
  ['NOFILE', 'Max open files'],
  ['MEMLOCK', 'Max locked memory'],
  ['AS', 'Max address space'],
  ['LOCKS', 'Max file locks'],
  ['SIGPENDING', 'Max pending signals'],
  ['MSGQUEUE', 'Max msgqueue size'],
  ['NICE', 'Max nice priority'],
  ['RTPRIO', 'Max realtime priority'],
  ['RTTIME', 'Max realtime timeout'],
];

const prefix =
  'unable to start container process: error during container init: error setting rlimits for ready process: ';
const sysResource = 24n;

/** What the machine lets this process give away. */
export interface RlimitHost {
  /** The highest hard limit by the kernel's number; absent where there is none. */
  readonly highest: ReadonlyMap<number, number>;
}

export function readRlimitHost(
  limits = readFileSync('/proc/self/limits').toString(),
  status = readFileSync('/proc/self/status').toString(),
  nrOpen = readFileSync('/proc/sys/fs/nr_open').toString(),
): RlimitHost {
  const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'}`);
  // Who may raise limits is bounded by the kernel's own, for open files alone.
  if ((effective >> sysResource) & 1n) return { highest: new Map([[numberOf('NOFILE'), Number(nrOpen)]]) };
  const highest = new Map<number, number>();
  for (const [number, [, shown]] of kinds.entries()) {
    const line = limits.split('\n').find((candidate) => candidate.startsWith(shown));
    const hard = line?.slice(shown.length).trim().split(/\s+/)[1];
    if (hard !== undefined && hard !== 'unlimited') highest.set(number, Number(hard));
  }
  return { highest };
}

const numberOf = (name: string) => kinds.findIndex(([known]) => known === name);

/** Why limits cannot be set, in runc's words and with what the machine allows; undefined when they can. */
export function rlimitFault(rlimits: readonly Rlimit[], host: RlimitHost): string | undefined {
  for (const { type, soft, hard } of rlimits) {
    const number = numberOf(type.replace(/^RLIMIT_/, ''));
    if (number < 0) return `wrong rlimit value: ${type}`;
    const fault = `${prefix}error setting rlimit type ${number}`;
    if (bounded(soft) > bounded(hard)) return `${fault}: invalid argument`;
    const highest = host.highest.get(number);
    if (highest !== undefined && bounded(hard) > highest) {
      const name = type.slice('RLIMIT_'.length).toLowerCase();
      return `${fault}: operation not permitted: ${name} can be ${highest} at most on this machine`;
    }
  }
  return undefined;
}

const bounded = (limit: number) => (limit < 0 ? Number.POSITIVE_INFINITY : limit);

/** The runtime-spec knows no -1: no limit is the largest number of 64 bits, which a JSON number of ours cannot be. */
export function encodeRlimit({ type, soft, hard }: Rlimit): { type: string; soft: unknown; hard: unknown } {
  return { type, soft: unsigned(soft), hard: unsigned(hard) };
}

/** ES2025 has it, the type library not yet. */
const { rawJSON } = JSON as unknown as { rawJSON(text: string): unknown };
const unsigned = (limit: number) => (limit < 0 ? rawJSON('18446744073709551615') : limit);
