import {
  allowedByCapability,
  alwaysAllowed,
  architectures,
  namespaceCloneFlags,
  personalities,
  refusedSocketFamily,
  tracingAllowed,
} from './seccomp-table.ts';

const enosys = 38;

export interface SeccompRule {
  readonly names: readonly string[];
  readonly action: string;
  readonly errnoRet?: number;
  readonly args?: readonly { readonly index?: number; readonly value?: number; readonly op?: string }[];
}

/** OCI runtime-spec v1.1 config-linux.md §seccomp. */
export interface SeccompProfile {
  readonly defaultAction: string;
  readonly defaultErrnoRet?: number;
  readonly architectures?: readonly string[];
  readonly syscalls: readonly SeccompRule[];
}

export interface SeccompFacts {
  readonly capabilities: readonly string[];
  /** `process.arch`. */
  readonly arch: string;
  /** `uname -r`. */
  readonly kernelRelease: string;
}

const allow = (names: readonly string[], argument?: { value: number; op: string }): SeccompRule => ({
  names,
  action: 'SCMP_ACT_ALLOW',
  ...(argument && { args: [{ index: 0, ...argument }] }),
});

export type KernelVersion = readonly [major: number, minor: number];

export function kernelAtLeast(release: string, [major, minor]: KernelVersion): boolean {
  const [ours = 0, second = 0] = release.split('.').map((part) => Number.parseInt(part, 10));
  return ours > major || (ours === major && second >= minor);
}

/** Docker's default profile for a container with these capabilities on this machine; undefined on an unknown one. */
export function defaultSeccomp(facts: SeccompFacts): SeccompProfile | undefined {
  const architecture = architectures[facts.arch];
  if (!architecture) return undefined;
  const capabilities = new Set(facts.capabilities);
  const opened = Object.entries(allowedByCapability).flatMap(([name, calls]) => (capabilities.has(name) ? calls : []));
  const tracing = kernelAtLeast(facts.kernelRelease, tracingAllowed.sinceKernel) ? tracingAllowed.names : [];
  const unconditional = new Set([...alwaysAllowed, ...architecture.allowed, ...opened, ...tracing]);
  return {
    defaultAction: 'SCMP_ACT_ERRNO',
    defaultErrnoRet: 1,
    architectures: architecture.names,
    syscalls: [
      allow([...unconditional].sort()),
      allow(['socket'], { value: refusedSocketFamily, op: 'SCMP_CMP_NE' }),
      ...personalities.map((value) => allow(['personality'], { value, op: 'SCMP_CMP_EQ' })),
      ...(capabilities.has('CAP_SYS_ADMIN') ? [] : threadsOnly()),
    ],
  };
}

/** clone(2) without namespaces; clone3(2), whose flags a filter cannot see, as if the kernel lacked it: C libraries fall back. */
function threadsOnly(): SeccompRule[] {
  return [
    allow(['clone'], { value: namespaceCloneFlags, op: 'SCMP_CMP_MASKED_EQ' }),
    { names: ['clone3'], action: 'SCMP_ACT_ERRNO', errnoRet: enosys },
  ];
}
