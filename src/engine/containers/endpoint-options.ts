/** What an endpoint's settings ask of its link, by dockerd's names. */
import { isIP } from 'node:net';
import type { EndpointSettings } from '#api-types';
import type { ConnectOptions } from '#network';

const sysctlsOption = 'com.docker.network.endpoint.sysctls';
const nameOption = 'com.docker.network.endpoint.ifname';

export function linkWishes({ DriverOpts, IPAMConfig }: EndpointSettings): NonNullable<ConnectOptions['link']> {
  const sysctls = DriverOpts?.[sysctlsOption];
  return {
    name: DriverOpts?.[nameOption] ?? '',
    linkLocal: IPAMConfig?.LinkLocalIPs ?? [],
    sysctls: sysctls === undefined ? [] : sysctls.split(','),
  };
}

export function linkLocalFaults({ IPAMConfig }: EndpointSettings): string[] {
  return (IPAMConfig?.LinkLocalIPs ?? [])
    .filter((text) => isIP(text) === 0 || text.includes('%'))
    .map((text) => `invalid link-local IP address: ${text}`);
}

/** The docker CLI writes all of it in lower case. */
export function sysctlFaults({ DriverOpts }: EndpointSettings): string[] {
  const sysctls = DriverOpts?.[sysctlsOption];
  if (sysctls === undefined) return [];
  const isOfLink = (sysctl: string) => /^[^.]*\.(ipv4|ipv6|mpls)\.[^.]*\.(IFNAME|ifname)\./.test(sysctl);
  return sysctls
    .split(',')
    .filter((sysctl) => !isOfLink(sysctl))
    .map(
      (sysctl) =>
        `unrecognised network interface sysctl '${sysctl}'; represent 'net.X.Y.ethN.Z=V' as 'net.X.Y.IFNAME.Z=V', 'X' must be 'ipv4', 'ipv6' or 'mpls'`,
    );
}
