/** `--sysctl net.ipv4.conf.eth0.x`, which names a link that is not there yet: it belongs to the container's place on a network. */
import type { ContainerCreateConfig, EndpointSettings } from '#api-types';
import { EngineError } from '#errdefs';
import type { Call } from './call.ts';

const driverOption = 'com.docker.network.endpoint.sysctls';

export interface Migrated {
  readonly config: ContainerCreateConfig;
  readonly warnings: readonly string[];
}

/**
 * Before API 1.48 such settings are moved to the network of the container's mode, with a warning; those of `eth0` alone, as the others are numbered anew at
 * every start.
 * @throws in dockerd's words: `unknown` where the client should know better, and for another link; `invalid-argument` when that network is not among those given.
 */
export function migrateLinkSysctls(call: Pick<Call, 'before'>, config: ContainerCreateConfig): Migrated {
  const { NetworkMode: mode = '', Sysctls } = config.HostConfig ?? {};
  const names = Object.keys(Sysctls ?? {}).filter((name) => /^net(\.[^.]*){2}\.eth[^.]*\./.test(name));
  const [first] = names;
  if (first === undefined || mode === 'host' || mode.startsWith('container:')) return { config, warnings: [] };
  if (!call.before('1.48')) {
    throw new EngineError(
      'unknown',
      `interface specific sysctl setting "${first}" must be supplied using driver option '${driverOption}'`,
    );
  }
  const place = placeOf(config, mode || 'default');
  if (place === undefined) {
    throw new EngineError(
      'invalid-argument',
      `unable to find a network for sysctl ${first}: HostConfig.NetworkMode must match the identity of a network in NetworkSettings.Networks`,
    );
  }
  const option = names.map((name) => optionOf(name, Sysctls![name]!)).join(',');
  const warning = `Migrated sysctl ${JSON.stringify(names.join(','))} to DriverOpts{"${driverOption}":${JSON.stringify(option)}}.`;
  return { config: withOption(config, place, option), warnings: [warning] };
}

function optionOf(name: string, value: string): string {
  const [, family, table, link, ...key] = name.split('.');
  if (link !== 'eth0') {
    throw new EngineError(
      'unknown',
      `unable to determine network endpoint for sysctl ${name}, use driver option '${driverOption}' to set per-interface sysctls`,
    );
  }
  return `net.${family}.${table}.IFNAME.${key.join('.')}=${value}`;
}

/** The key its network has, or gets, among the endpoints. */
function placeOf({ NetworkingConfig }: ContainerCreateConfig, mode: string): string | undefined {
  const keys = Object.keys(NetworkingConfig?.EndpointsConfig ?? {});
  const isDefault = mode === 'default' || mode === 'bridge';
  const known = keys.find((key) => key === mode || (isDefault && (key === 'default' || key === 'bridge')));
  return known ?? (keys.length === 0 ? mode : undefined);
}

/** What the endpoint says itself comes later, and has its way. */
function withOption(config: ContainerCreateConfig, place: string, option: string): ContainerCreateConfig {
  const { Sysctls, ...host } = config.HostConfig ?? {};
  const others = Object.entries(Sysctls ?? {}).filter(([name]) => !/^net(\.[^.]*){2}\.eth[^.]*\./.test(name));
  const endpoints = config.NetworkingConfig?.EndpointsConfig ?? {};
  const { DriverOpts, ...endpoint }: EndpointSettings = endpoints[place] ?? {};
  const own = DriverOpts?.[driverOption];
  const options = { ...DriverOpts, [driverOption]: own ? `${option},${own}` : option };
  return {
    ...config,
    HostConfig: { ...host, ...(others.length > 0 ? { Sysctls: Object.fromEntries(others) } : {}) },
    NetworkingConfig: { EndpointsConfig: { ...endpoints, [place]: { ...endpoint, DriverOpts: options } } },
  };
}
