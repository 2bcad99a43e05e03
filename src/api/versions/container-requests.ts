import type { ContainerCreateConfig, ContainerUpdateConfig } from '#api-types';
import { EngineError } from '#errdefs';
import type { Call } from '../call.ts';

/** What a client of another version means by a create, in today's words, with what it is to be told of it. */
export function createFrom(
  call: Call,
  given: ContainerCreateConfig,
): { readonly config: ContainerCreateConfig; readonly warnings: readonly string[] } {
  refuseNewer(call, given);
  const config = withOlderDefaults(call, given);
  if (call.before('1.44')) return { config, warnings: [] };
  if (call.before('1.52')) return { config, warnings: config.MacAddress ? [containerWideMac] : [] };
  const { MacAddress: _unknown, ...known } = config;
  return { config: known, warnings: unboundPorts(config) };
}

const containerWideMac =
  'The container-wide MacAddress field is now deprecated. It should be specified in EndpointsConfig instead.';

function unboundPorts({ HostConfig }: ContainerCreateConfig): readonly string[] {
  const empty = Object.entries(HostConfig?.PortBindings ?? {}).filter(([, bindings]) => !bindings?.length);
  if (empty.length === 0) return [];
  const ports = empty.map(([port]) => port).join(', ');
  const fact = `Following container port(s) have an empty list of port-bindings: ${ports}.`;
  return [`${fact} Such bindings will be discarded in a future version.`];
}

/** @throws `invalid-argument` in dockerd's words for what the client's version of the API has no words for. */
function refuseNewer(call: Call, config: ContainerCreateConfig): void {
  if (!call.before('1.48') || !config.HostConfig?.Mounts?.some(({ Type }) => Type === 'image')) return;
  throw new EngineError('invalid-argument', 'Mount type "Image" needs API v1.48 or newer');
}

/** Clients of an older API expect what was the default then: a shareable IPC namespace before 1.40, the host's cgroup namespace before 1.41. */
function withOlderDefaults(call: Call, config: ContainerCreateConfig): ContainerCreateConfig {
  const host = config.HostConfig ?? {};
  const older = {
    ...(call.before('1.40') && !host.IpcMode ? { IpcMode: 'shareable' } : {}),
    ...(call.before('1.41') && !host.CgroupnsMode ? { CgroupnsMode: 'host' as const } : {}),
  };
  return Object.keys(older).length === 0 ? config : { ...config, HostConfig: { ...host, ...older } };
}

/** Before 1.55 an empty list of limits by device meant as little as none. */
export function updateFrom(call: Call, config: ContainerUpdateConfig): ContainerUpdateConfig {
  if (!call.before('1.55')) return config;
  const isEmpty = (value: unknown) => Array.isArray(value) && value.length === 0;
  return Object.fromEntries(Object.entries(config).filter(([, value]) => !isEmpty(value)));
}
