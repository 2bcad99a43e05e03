import type {
  ContainerCreateConfig,
  ContainerUpdateConfig,
  EndpointSettings,
  HostConfig,
  MountOptions,
} from '#api-types';
import { EngineError } from '#errdefs';
import type { Query } from '#http';

/**
 * What the API knows and this engine does not do yet. Nothing known is accepted and ignored: a field or parameter of these tables is refused, by name, at any
 * value that would ask for something. Values that ask for nothing pass: Go's zero values, and what clients send when their user said nothing: recorded from the
 * docker CLI 28 (`MemorySwappiness: -1`), known of others (`CgroupnsMode: ""`, `Isolation: ""`, `rm=False`).
 * To honour a field, teach the engine and delete its line here.
 */
type Rule = (value: unknown) => boolean;
type Rules<T> = { readonly [K in keyof T]?: Rule };

/** Unset, zero, empty: Go cannot tell these from an absent field. */
const unset: Rule = (value) =>
  value === undefined ||
  value === null ||
  value === false ||
  value === 0 ||
  value === '' ||
  (Array.isArray(value) ? value.length === 0 : typeof value === 'object' && Object.keys(value).length === 0);

const oneOf =
  (...allowed: readonly (string | number)[]): Rule =>
  (value) =>
    unset(value) || allowed.includes(value as string | number);

const configRules: Rules<ContainerCreateConfig> = {
  NetworkDisabled: unset,
};

const hostRules: Rules<HostConfig> = {
  Cgroup: unset,
  UsernsMode: oneOf('host', 'private'),
  KernelMemoryTCP: unset,
  CpuCount: unset,
};

/** `Consistency` is a hint for file sharing with a desktop machine; dockerd on Linux has nothing to do for it either. */
const mountRules: Rules<MountOptions> = {
  ClusterOptions: unset,
};

/** Fields from `NetworkID` on are the engine's own: clients send back what they once read, and dockerd overwrites it. */
const endpointRules: Rules<EndpointSettings> = {
  DriverOpts: (value) => Object.keys(value ?? {}).every(isHonouredOption),
};

/** Docker's own names; others are the user's, and kept. */
function isHonouredOption(name: string): boolean {
  const prefix = 'com.docker.network.';
  return !name.startsWith(prefix) || [`${prefix}endpoint.sysctls`, `${prefix}endpoint.ifname`].includes(name);
}

/** @throws `not-implemented` naming the first field that is set and not honoured. */
export function refuseUnsupportedEndpoint(settings: EndpointSettings, path: string): void {
  check(settings, endpointRules, path);
}

/** @throws `not-implemented` naming the first field of a create body that is known, set and not honoured. */
export function refuseUnsupportedConfig(config: ContainerCreateConfig): void {
  check(config, configRules, '');
  const host = config.HostConfig ?? {};
  check(host, hostRules, 'HostConfig.');
  host.Mounts?.forEach((mount, at) => {
    const path = `HostConfig.Mounts[${at}].`;
    check(mount, mountRules, path);
  });
  for (const [name, endpoint] of Object.entries(config.NetworkingConfig?.EndpointsConfig ?? {})) {
    refuseUnsupportedEndpoint(endpoint ?? {}, `NetworkingConfig.EndpointsConfig[${name}].`);
  }
}

/** What an update cannot change; dockerd takes these and does nothing. */
const updateRules: Rules<ContainerUpdateConfig> = {
  CgroupParent: unset,
  CpuRealtimePeriod: unset,
  CpuRealtimeRuntime: unset,
  Devices: unset,
  DeviceCgroupRules: unset,
  DeviceRequests: unset,
  KernelMemory: unset,
  KernelMemoryTCP: unset,
  MemorySwappiness: oneOf(-1),
  OomKillDisable: unset,
  Ulimits: unset,
  CpuCount: unset,
  CpuPercent: unset,
  IOMaximumIOps: unset,
  IOMaximumBandwidth: unset,
};

/** @throws `not-implemented` naming the first field of an update that is set and cannot be changed. */
export function refuseUnsupportedUpdate(config: ContainerUpdateConfig): void {
  check(config, updateRules, '');
}

function check<T extends object>(value: T, rules: Rules<T>, path: string): void {
  for (const [name, rule] of Object.entries(rules) as [keyof T & string, Rule][]) {
    if (!rule(value[name])) throw refusal(`${path}${name}`, value[name]);
  }
}

function refusal(name: string, value: unknown): EngineError {
  return new EngineError('not-implemented', `${name} is not supported yet: got ${JSON.stringify(value)}`);
}

type QueryRule = (value: string) => boolean;
const empty: QueryRule = (value) => value === '';
const emptyList: QueryRule = (value) => ['', 'null', '[]', '{}'].includes(value);

const buildRules: Readonly<Record<string, (value: string) => boolean>> = {
  outputs: emptyList,
};

/**
 * Parameters by route. Those that are not here are honoured.
 * `session` and `buildid` belong to BuildKit and mean nothing in a classic build.
 */
const queryRules: Readonly<Record<string, Readonly<Record<string, QueryRule>>>> = {
  'POST /build': buildRules,
  'POST /wherry/v1/build': buildRules,
  'POST /containers/{name:.*}/start': { checkpoint: empty, 'checkpoint-dir': empty },
};

/** @throws `not-implemented` naming the parameter. */
export function refuseUnsupportedQuery(route: string, query: Query): void {
  for (const [name, rule] of Object.entries(queryRules[route] ?? {})) {
    const value = query.all(name).find((one) => !rule(one));
    if (value !== undefined) throw refusal(`query parameter ${name}`, value);
  }
}
