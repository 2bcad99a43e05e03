import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ContainerCreateConfig, HostConfig } from '#api-types';
import { isKind } from '#errdefs';
import { refuseUnsupportedConfig } from './unsupported.ts';

/** What the docker CLI 28 sends for `docker run image true`. */
const plainRun: ContainerCreateConfig = {
  AttachStdin: false,
  AttachStdout: true,
  AttachStderr: true,
  Cmd: ['true'],
  Image: 'tiny',
  Volumes: {},
  Labels: {},
  HostConfig: {
    LogConfig: { Type: '', Config: {} },
    NetworkMode: 'default',
    PortBindings: {},
    RestartPolicy: { Name: 'no', MaximumRetryCount: 0 },
    VolumeDriver: '',
    ConsoleSize: [0, 0],
    CgroupnsMode: '',
    Dns: [],
    IpcMode: '',
    Isolation: '',
    BlkioWeightDevice: [],
    MemorySwappiness: -1,
    OomKillDisable: false,
    PidsLimit: 0,
  },
  NetworkingConfig: {
    EndpointsConfig: { default: { IPAMConfig: null, MacAddress: '', GwPriority: 0, NetworkID: '', IPPrefixLen: 0 } },
  },
};

test('a plain docker run asks for nothing that is missing', () => {
  refuseUnsupportedConfig(plainRun);
  refuseUnsupportedConfig({ ...plainRun, Healthcheck: { Test: ['NONE'] } });
  refuseUnsupportedConfig({ Image: 'x', HostConfig: { IpcMode: 'private', LogConfig: { Type: 'json-file' } } });
});

const refused: readonly (readonly [string, ContainerCreateConfig])[] = [
  ['Healthcheck', { Healthcheck: { Test: ['CMD', 'true'] } }],
  ['MacAddress', { MacAddress: '02:00:00:00:00:01' }],
  ...(
    [
      ['RestartPolicy', { RestartPolicy: { Name: 'always' } }],
      ['NetworkMode', { NetworkMode: 'container:x' }],
      ['LogConfig', { LogConfig: { Type: 'syslog' } }],
      ['LogConfig', { LogConfig: { Type: 'json-file', Config: { 'max-size': '1m' } } }],
      ['MemorySwappiness', { MemorySwappiness: 60 }],
      ['Devices', { Devices: [{ PathOnHost: '/dev/x', PathInContainer: '/dev/x', CgroupPermissions: 'rwm' }] }],
      ['PidMode', { PidMode: 'host' }],
      ['VolumesFrom', { VolumesFrom: ['a'] }],
      ['Mounts[0].Type', { Mounts: [{ Type: 'image', Target: '/x' }] }],
      [
        'Mounts[1].BindOptions.ReadOnlyForceRecursive',
        { Mounts: [{ Type: 'bind' }, { Type: 'bind', BindOptions: { ReadOnlyForceRecursive: true } }] },
      ],
      [
        'Mounts[0].VolumeOptions.DriverConfig',
        { Mounts: [{ Type: 'volume', VolumeOptions: { DriverConfig: { Name: 'nfs' } } }] },
      ],
    ] as readonly (readonly [string, HostConfig])[]
  ).map(([name, host]) => [`HostConfig.${name}`, { HostConfig: host }] as const),
  ['NetworkingConfig.EndpointsConfig[other]', { NetworkingConfig: { EndpointsConfig: { other: {} } } }],
  [
    'NetworkingConfig.EndpointsConfig[bridge].Aliases',
    { HostConfig: { NetworkMode: 'bridge' }, NetworkingConfig: { EndpointsConfig: { bridge: { Aliases: ['a'] } } } },
  ],
];

test('what is known and not honoured is refused by name', () => {
  for (const [name, config] of refused) {
    assert.throws(
      () => refuseUnsupportedConfig(config),
      (error: Error) => isKind(error, 'not-implemented') && error.message.startsWith(`${name} is not supported yet`),
      name,
    );
  }
});
