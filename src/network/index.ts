/**
 * Networks: bridges (veth, addresses, NAT, published ports, names), `host` and `none`, behind one interface, because its set-up time is most of
 * what a user waits for in `run`. Names and marks of links and firewall tables come from the data root, so that daemons coexist. Also the contents of the
 * files that belong to a container's network: hosts, hostname, resolv.conf.
 * Imports errdefs, streams, files, concurrency, log, sys.
 */
export { type Family, familyOf, hasHostBits, isAddressIn, subnetBase } from './address.ts';
export { type HostsOptions, hostnameFile, hostsFile, parseExtraHost } from './hosts-file.ts';
export type { AddressUse } from './ipam.ts';
export { type StackedKind, stackedModes } from './netlink/index.ts';
export { openNetworks } from './networks.ts';
export {
  parseResolvConf,
  type ResolvConf,
  type ResolvConfOptions,
  readHostResolvConf,
  resolvConf,
} from './resolv-conf.ts';
export * from './types.ts';
