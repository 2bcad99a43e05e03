import type { SystemInfo } from '#api-types';
import type { Call } from '../call.ts';

export function systemInfoFor(call: Call, info: SystemInfo): object {
  const { FirewallBackend, Containerd, DiscoveredDevices, KernelMemoryTCP, ...rest } = info;
  return {
    ...rest,
    ...(call.before('1.52') && KernelMemoryTCP !== undefined ? { KernelMemoryTCP } : {}),
    ...(call.before('1.50') ? { BridgeNfIptables: false, BridgeNfIp6tables: false } : {}),
    ...(call.before('1.49') || FirewallBackend === undefined ? {} : { FirewallBackend }),
    ...(call.before('1.50') || DiscoveredDevices === undefined ? {} : { DiscoveredDevices }),
    ...(call.before('1.49')
      ? { RuncCommit: expected(info.RuncCommit), ContainerdCommit: expected(info.ContainerdCommit) }
      : {}),
    ...(call.before('1.47') && info.RegistryConfig
      ? {
          RegistryConfig: {
            ...info.RegistryConfig,
            AllowNondistributableArtifactsCIDRs: null,
            AllowNondistributableArtifactsHostnames: null,
          },
        }
      : {}),
    ...(call.before('1.46') || Containerd === undefined ? {} : { Containerd }),
    ...(call.before('1.44') ? { Runtimes: withoutStatus(info.Runtimes) } : {}),
    ...(call.before('1.42') ? { KernelMemory: true } : {}),
    ...(call.before('1.25') ? { SecurityOptions: info.SecurityOptions.map(plainSecurityOption) } : {}),
  };
}

function withoutStatus(runtimes: SystemInfo['Runtimes']): SystemInfo['Runtimes'] {
  const entries = Object.entries(runtimes).map(([name, { status: _status, ...runtime }]) => [name, runtime] as const);
  return Object.fromEntries(entries);
}

function expected(commit: { readonly ID: string }): object {
  return commit.ID === '' ? commit : { ...commit, Expected: commit.ID };
}

/** `name=seccomp,profile=builtin` was `seccomp`. */
function plainSecurityOption(option: string): string {
  return /(?:^|,)name=([^,]*)/.exec(option)?.[1] ?? option;
}
