import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ContainerCreateConfig } from '#api-types';
import { migrateLinkSysctls } from './link-sysctls.ts';
import { versionBefore } from './versions/version.ts';

const option = 'com.docker.network.endpoint.sysctls';
const migrate = (version: string, config: ContainerCreateConfig) =>
  migrateLinkSysctls({ before: (other) => versionBefore(version, other) }, config);
const ofLink = { 'net.ipv4.conf.eth0.forwarding': '0' };

test('settings of a link are moved to the network of an older client’s container', () => {
  const { config, warnings } = migrate('1.47', {
    Image: 'x',
    HostConfig: { NetworkMode: 'net', Sysctls: { ...ofLink, 'net.core.somaxconn': '5' } },
    NetworkingConfig: { EndpointsConfig: { net: { DriverOpts: { a: 'b', [option]: 'net.ipv4.conf.IFNAME.x=1' } } } },
  });
  assert.deepEqual(config.HostConfig?.Sysctls, { 'net.core.somaxconn': '5' });
  assert.deepEqual(config.NetworkingConfig?.EndpointsConfig?.['net']?.DriverOpts, {
    a: 'b',
    [option]: 'net.ipv4.conf.IFNAME.forwarding=0,net.ipv4.conf.IFNAME.x=1',
  });
  assert.deepEqual(warnings, [
    `Migrated sysctl "net.ipv4.conf.eth0.forwarding" to DriverOpts{"${option}":"net.ipv4.conf.IFNAME.forwarding=0"}.`,
  ]);
  const bare = migrate('1.24', { Image: 'x', HostConfig: { Sysctls: ofLink } }).config;
  assert.equal(bare.HostConfig?.Sysctls, undefined);
  assert.ok(bare.NetworkingConfig?.EndpointsConfig?.['default']?.DriverOpts?.[option]);
});

test('what cannot be moved is refused, what has the host’s links stays', () => {
  const host = (Sysctls: Record<string, string>, NetworkMode = 'net') => ({
    Image: 'x',
    HostConfig: { NetworkMode, Sysctls },
  });
  assert.throws(
    () => migrate('1.51', host(ofLink)),
    /interface specific sysctl setting "net\.ipv4\.conf\.eth0\.forwarding" must be supplied using driver option/,
  );
  assert.throws(
    () => migrate('1.47', host({ 'net.ipv4.conf.eth1.forwarding': '0' })),
    /unable to determine network endpoint for sysctl net\.ipv4\.conf\.eth1\.forwarding, use driver option/,
  );
  assert.throws(
    () => migrate('1.47', { ...host(ofLink), NetworkingConfig: { EndpointsConfig: { other: {} } } }),
    /unable to find a network for sysctl net\.ipv4\.conf\.eth0\.forwarding: HostConfig\.NetworkMode must match/,
  );
  for (const config of [host(ofLink, 'host'), host(ofLink, 'container:x'), host({ 'net.ipv4.conf.wan0.x': '1' })]) {
    assert.deepEqual(migrate('1.51', config), { config, warnings: [] });
  }
});
