import type {
  ContainerConfig,
  ContainerCreateConfig,
  ContainerUpdateConfig,
  ExecCreateConfig,
  HealthcheckConfig,
  HostConfig,
  MountOptions,
  NetworkingConfig,
  PortBinding,
  Resources,
  RestartPolicy,
  Ulimit,
} from '#api-types';
import {
  bool,
  type Decoder,
  emptyStruct,
  type Fields,
  integer,
  list,
  map,
  nullableMap,
  object,
  string,
  stringOrList,
  word,
} from '../decode.ts';
import { endpoint } from './network.ts';

const strings = list(string());
const stringMap = map(string());
const int64 = integer('int64');
const duration = integer('time.Duration');

const healthcheck = object<HealthcheckConfig>('container.HealthConfig', {
  Test: strings,
  Interval: duration,
  Timeout: duration,
  StartPeriod: duration,
  StartInterval: duration,
  Retries: integer('int'),
});

const configFields: Fields<ContainerConfig> = {
  Hostname: string(),
  Domainname: string(),
  User: string(),
  AttachStdin: bool,
  AttachStdout: bool,
  AttachStderr: bool,
  ExposedPorts: map(emptyStruct, 'nat.PortSet'),
  Tty: bool,
  OpenStdin: bool,
  StdinOnce: bool,
  Env: strings,
  Cmd: stringOrList,
  Healthcheck: healthcheck,
  ArgsEscaped: bool,
  Image: string(),
  Volumes: map(emptyStruct),
  WorkingDir: string(),
  Entrypoint: stringOrList,
  NetworkDisabled: bool,
  MacAddress: string(),
  OnBuild: strings,
  Labels: stringMap,
  StopSignal: string(),
  StopTimeout: integer('int'),
  Shell: stringOrList,
};

/** `POST /commit`'s body. */
export const containerConfig = object<ContainerConfig>('container.CreateRequest', configFields, {
  embedded: true,
});

/** Names of the fields that make a create body a non-empty configuration, in lower case. */
export const configFieldNames: ReadonlySet<string> = new Set(
  Object.keys(configFields).map((name) => name.toLowerCase()),
);

const throttle = list(
  object<{ Path: string; Rate: number }>('blkiodev.ThrottleDevice', { Path: string(), Rate: integer('int64') }),
);

export const ulimits: Decoder<readonly Ulimit[]> = list(
  object<Ulimit>('units.Ulimit', { Name: string(), Hard: int64, Soft: int64 }),
);

const mount = object<MountOptions>('mount.Mount', {
  Type: word('mount.Type'),
  Source: string(),
  Target: string(),
  ReadOnly: bool,
  Consistency: string('mount.Consistency'),
  BindOptions: object('mount.BindOptions', {
    Propagation: word<'private'>('mount.Propagation'),
    NonRecursive: bool,
    CreateMountpoint: bool,
    ReadOnlyNonRecursive: bool,
    ReadOnlyForceRecursive: bool,
  }),
  VolumeOptions: object('mount.VolumeOptions', {
    NoCopy: bool,
    Labels: stringMap,
    Subpath: string(),
    DriverConfig: object('mount.Driver', { Name: string(), Options: stringMap }),
  }),
  ImageOptions: object('mount.ImageOptions', { Subpath: string() }),
  TmpfsOptions: object('mount.TmpfsOptions', {
    SizeBytes: int64,
    Mode: integer('fs.FileMode'),
    Options: list(strings),
  }),
  ClusterOptions: emptyStruct,
});

const portBinding = object<PortBinding>('nat.PortBinding', { HostIp: string(), HostPort: string() });

/** `[height, width]`, padded as Go pads a short array. */
const consoleSize: Decoder<readonly [number, number]> = {
  goType: '[2]uint',
  decode(value, path) {
    const [height = 0, width = 0] = list(integer('uint'), '[2]uint').decode(value, path);
    return [height, width];
  },
};

const restartPolicy = object<RestartPolicy>('container.RestartPolicy', {
  Name: word<'no'>('container.RestartPolicyMode'),
  MaximumRetryCount: integer('int'),
});

const resourceFields: Fields<Resources> = {
  CpuShares: int64,
  Memory: int64,
  NanoCpus: int64,
  CgroupParent: string(),
  BlkioWeight: integer('uint16'),
  BlkioWeightDevice: list(
    object<{ Path: string; Weight: number }>('blkiodev.WeightDevice', { Path: string(), Weight: integer('uint16') }),
  ),
  BlkioDeviceReadBps: throttle,
  BlkioDeviceWriteBps: throttle,
  BlkioDeviceReadIOps: throttle,
  BlkioDeviceWriteIOps: throttle,
  CpuPeriod: int64,
  CpuQuota: int64,
  CpuRealtimePeriod: int64,
  CpuRealtimeRuntime: int64,
  CpusetCpus: string(),
  CpusetMems: string(),
  Devices: list(
    object<{ PathOnHost: string; PathInContainer: string; CgroupPermissions: string }>('container.DeviceMapping', {
      PathOnHost: string(),
      PathInContainer: string(),
      CgroupPermissions: string(),
    }),
  ),
  DeviceCgroupRules: strings,
  DeviceRequests: list(
    object('container.DeviceRequest', {
      Driver: string(),
      Count: integer('int'),
      DeviceIDs: strings,
      Capabilities: list(strings),
      Options: stringMap,
    }),
  ),
  KernelMemory: int64,
  KernelMemoryTCP: int64,
  MemoryReservation: int64,
  MemorySwap: int64,
  MemorySwappiness: int64,
  OomKillDisable: bool,
  PidsLimit: int64,
  Ulimits: ulimits,
  CpuCount: int64,
  CpuPercent: int64,
  IOMaximumIOps: integer('int64'),
  IOMaximumBandwidth: integer('int64'),
};

/** Capability and DNS lists: strict lists of strings, though `CapAdd` and `CapDrop` take one string too. */
const hostConfig = object<HostConfig>('container.HostConfig', {
  Binds: strings,
  ContainerIDFile: string(),
  LogConfig: object('container.LogConfig', { Type: string(), Config: stringMap }),
  NetworkMode: string('container.NetworkMode'),
  PortBindings: nullableMap(list(portBinding), 'nat.PortMap'),
  RestartPolicy: restartPolicy,
  AutoRemove: bool,
  VolumeDriver: string(),
  VolumesFrom: strings,
  ConsoleSize: consoleSize,
  Annotations: stringMap,
  CapAdd: stringOrList,
  CapDrop: stringOrList,
  CgroupnsMode: word('container.CgroupnsMode'),
  Dns: strings,
  DnsOptions: strings,
  DnsSearch: strings,
  ExtraHosts: strings,
  GroupAdd: strings,
  IpcMode: string('container.IpcMode'),
  Cgroup: string('container.CgroupSpec'),
  Links: strings,
  OomScoreAdj: integer('int'),
  PidMode: string('container.PidMode'),
  Privileged: bool,
  PublishAllPorts: bool,
  ReadonlyRootfs: bool,
  SecurityOpt: strings,
  StorageOpt: stringMap,
  Tmpfs: stringMap,
  UTSMode: string('container.UTSMode'),
  UsernsMode: string('container.UsernsMode'),
  ShmSize: int64,
  Sysctls: stringMap,
  Runtime: string(),
  Isolation: string('container.Isolation'),
  ...resourceFields,
  Mounts: list(mount),
  MaskedPaths: strings,
  ReadonlyPaths: strings,
  Init: bool,
});

/** `POST /containers/create`'s body. */
export const createConfig = object<ContainerCreateConfig>(
  'container.CreateRequest',
  {
    ...configFields,
    HostConfig: hostConfig,
    NetworkingConfig: object<NetworkingConfig>('network.NetworkingConfig', {
      EndpointsConfig: nullableMap(endpoint, 'map[string]*network.EndpointSettings'),
    }),
  },
  { embedded: true },
);

/** `POST /containers/{id}/update`'s body. */
export const updateConfig = object<ContainerUpdateConfig>(
  'container.UpdateConfig',
  { ...resourceFields, RestartPolicy: restartPolicy },
  { embedded: true },
);

/** `POST /containers/{id}/exec`'s body. */
export const execConfig = object<ExecCreateConfig>('container.ExecOptions', {
  User: string(),
  Privileged: bool,
  Tty: bool,
  ConsoleSize: consoleSize,
  AttachStdin: bool,
  AttachStderr: bool,
  AttachStdout: bool,
  DetachKeys: string(),
  Env: strings,
  WorkingDir: string(),
  Cmd: strings,
});

/** `POST /exec/{id}/start`'s body. */
export const execStart = object<{ Detach?: boolean; Tty?: boolean; ConsoleSize?: readonly [number, number] }>(
  'container.ExecStartOptions',
  { Detach: bool, Tty: bool, ConsoleSize: consoleSize },
);
