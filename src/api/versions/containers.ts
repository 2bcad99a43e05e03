import type { ContainerInspect, ContainerStats, ContainerSummary } from '#api-types';
import type { Call } from '../call.ts';

/**
 * Before 1.45 a container's ID and host name stood among its aliases on networks of users. From 1.52 on the default bridge's endpoint and a MAC address
 * that was asked for are told with their networks alone.
 */
export function containerInspectFor(call: Call, container: ContainerInspect): object {
  if (call.before('1.45')) return withOwnAliases(container);
  return call.before('1.52') ? container : withoutDefaultBridge(container);
}

function withOwnAliases(container: ContainerInspect): object {
  const { Hostname } = container.Config;
  const own = [container.Id.slice(0, 12), ...(Hostname ? [Hostname] : [])];
  const networks = Object.entries(container.NetworkSettings.Networks).map(([name, settings]) => {
    const isPredefined = ['bridge', 'host', 'none'].includes(name);
    return [
      name,
      isPredefined ? settings : { ...settings, Aliases: [...new Set([...(settings.Aliases ?? []), ...own])] },
    ];
  });
  return { ...container, NetworkSettings: { ...container.NetworkSettings, Networks: Object.fromEntries(networks) } };
}

function withoutDefaultBridge(container: ContainerInspect): object {
  const { MacAddress: _address, OnBuild, ...config } = container.Config;
  const { SandboxID, SandboxKey, Ports, Networks } = container.NetworkSettings;
  const { KernelMemoryTCP: _bytes, ...hostConfig } = container.HostConfig;
  return {
    ...container,
    HostConfig: hostConfig,
    Config: { ...config, ...(OnBuild?.length ? { OnBuild } : {}) },
    NetworkSettings: { SandboxID, SandboxKey, Ports, Networks },
  };
}

/** From 1.52 on with each container's health. */
export function containerSummariesFor(call: Call, containers: readonly ContainerSummary[]): readonly object[] {
  return call.before('1.52') ? containers.map(({ Health: _health, ...summary }) => summary) : containers;
}

/** From 1.52 on the system that the figures are of. */
export function containerStatsFor(call: Call, stats: ContainerStats): object {
  return call.before('1.52') ? stats : { ...stats, os_type: 'linux' };
}
