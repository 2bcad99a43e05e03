import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ContainerCreateConfig, HostConfig } from '#api-types';
import { isKind } from '#errdefs';
import { refuseUnsupportedConfig, refuseUnsupportedUpdate } from './unsupported.ts';

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
  refuseUnsupportedConfig({
    Image: 'x',
    HostConfig: { UsernsMode: 'private', IpcMode: 'private', LogConfig: { Type: 'json-file' } },
  });
});

test('networks of users, with addresses, names and links, are honoured', () => {
  const endpoint = { Aliases: ['a'], Links: ['c:d'], MacAddress: '02:00:00:00:00:01', GwPriority: 1 };
  refuseUnsupportedConfig({
    Image: 'x',
    MacAddress: '02:00:00:00:00:01',
    HostConfig: { NetworkMode: 'net', Links: ['c:d'] },
    NetworkingConfig: {
      EndpointsConfig: { net: { ...endpoint, IPAMConfig: { IPv4Address: '10.0.0.2', IPv6Address: 'fd00::2' } } },
    },
  });
  refuseUnsupportedConfig({ Image: 'x', HostConfig: { NetworkMode: 'container:x' } });
});

const refused: readonly (readonly [string, ContainerCreateConfig])[] = [
  ...(
    [
      ['KernelMemoryTCP', { KernelMemoryTCP: 60 }],
      ['UsernsMode', { UsernsMode: 'bogus' }],
    ] as readonly (readonly [string, HostConfig])[]
  ).map(([name, host]) => [`HostConfig.${name}`, { HostConfig: host }] as const),
  [
    'NetworkingConfig.EndpointsConfig[other].DriverOpts',
    { NetworkingConfig: { EndpointsConfig: { other: { DriverOpts: { 'com.docker.network.endpoint.bogus': 'b' } } } } },
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

test('an update names what it cannot change', () => {
  refuseUnsupportedUpdate({ Memory: 1, MemorySwappiness: null, Devices: null, Ulimits: [], KernelMemory: 0 });
  assert.throws(
    () => refuseUnsupportedUpdate({ Ulimits: [{ Name: 'nofile', Soft: 1, Hard: 1 }] }),
    /Ulimits is not supported/,
  );
});
