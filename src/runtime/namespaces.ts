import type { ContainerSpec } from './types.ts';

/** The namespaces of an OCI spec. A kind that stays the host's is left out; one that is joined names its file. */
export function namespacesOf(spec: ContainerSpec, cgroupVersion: 1 | 2): { type: string; path?: string }[] {
  const { user, ipc, pid, uts, cgroup = defaultCgroup(spec, cgroupVersion) } = spec.namespaces ?? {};
  return [
    { type: 'mount' },
    ...entry('user', user ?? 'host'),
    ...entry('network', spec.networkNamespace),
    ...entry('uts', uts),
    ...entry('pid', pid),
    ...entry('ipc', ipc),
    ...entry('cgroup', cgroup),
  ];
}

function entry(type: string, choice = 'private'): { type: string; path?: string }[] {
  if (choice === 'host') return [];
  return choice === 'private' ? [{ type }] : [{ type, path: choice }];
}

const defaultCgroup = (spec: ContainerSpec, version: 1 | 2) => (version === 2 && !spec.privileged ? 'private' : 'host');

const ipcSettings = new Set(['msgmax', 'msgmnb', 'msgmni', 'sem', 'shmall', 'shmmax', 'shmmni', 'shm_rmid_forced']);

/**
 * Why a kernel setting cannot be a container's own, in runc's words; undefined when it can. The runtimes agree on what they
 * refuse, each in words of its own.
 */
export function sysctlFault(spec: ContainerSpec): string | undefined {
  const { ipc, uts } = spec.namespaces ?? {};
  for (const name of Object.keys(spec.sysctls)) {
    if (name.startsWith('fs.mqueue.') || (name.startsWith('kernel.') && ipcSettings.has(name.slice(7)))) {
      if (ipc === 'host') return `sysctl "${name}" is not allowed in the hosts ipc namespace`;
    } else if (name.startsWith('net.')) {
      if (spec.networkNamespace === 'host') return `sysctl "${name}" not allowed in host network namespace`;
    } else if (name === 'kernel.hostname') {
      return 'sysctl "kernel.hostname" is not allowed as it conflicts with the OCI "hostname" field';
    } else if (name !== 'kernel.domainname' || uts === 'host') {
      return `sysctl "${name}" is not in a separate kernel namespace`;
    }
  }
  return undefined;
}
