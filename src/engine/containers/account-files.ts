import { chownSync, readFileSync, writeFileSync } from 'node:fs';
import { isIP, isIPv6 } from 'node:net';
import { hostname } from 'node:os';
import { EngineError, isErrno } from '#errdefs';
import { type Endpoint, hostnameFile, hostsFile, parseExtraHost, readHostResolvConf, resolvConf } from '#network';
import type { EngineContext } from '../context.ts';
import { remapOf, rootOf } from '../remap/index.ts';
import type { Container } from './container.ts';
import { containerPaths } from './paths.ts';

export interface AccountFacts {
  readonly addresses: readonly string[];
  /** On a network with a name server. */
  readonly named: boolean;
  /** Names of containers it is linked to, with their addresses. */
  readonly linked: readonly { readonly name: string; readonly address: string }[];
}

/** hosts, hostname and resolv.conf as dockerd writes them; made anew at every start. */
export async function writeAccountFiles(
  ctx: EngineContext,
  container: Container,
  { addresses, named, linked }: AccountFacts,
): Promise<void> {
  const paths = containerPaths(ctx, container.id);
  const { config, hostConfig } = container.body;
  const onHost = hostConfig.NetworkMode === 'host';
  const name = onHost ? hostname() : (config.Hostname ?? '');
  const gateways = hostGateways(ctx);
  const hosts = hostsFile({
    hostname: name,
    domainname: config.Domainname ?? '',
    addresses,
    extraHosts: [...(hostConfig.ExtraHosts ?? []).flatMap((item) => parseExtraHost(item, gateways)), ...linked],
    ...(onHost ? { hostText: readHostFile('/etc/hosts') } : {}),
  });
  for (const server of hostConfig.Dns ?? []) {
    if (isIP(server) === 0) throw new EngineError('internal', `bad nameserver address ${server}`);
  }
  writeFileSync(paths.hostname, hostnameFile(name), { mode: 0o644 });
  writeFileSync(paths.hosts, hosts, { mode: 0o644 });
  const ipv6 = addresses.some((address) => isIPv6(address));
  writeFileSync(paths.resolvConf, await resolvText(ctx, container, { named, ipv6 }), { mode: 0o644 });
  const { uid, gid } = rootOf(remapOf(ctx, hostConfig)?.mapping);
  for (const path of [paths.hostname, paths.hosts, paths.resolvConf]) chownSync(path, uid, gid);
}

/** What `host-gateway` stands for. */
export function hostGateways(ctx: EngineContext): readonly string[] {
  const chosen = ctx.options.network?.hostGateways ?? [];
  if (chosen.length > 0) return chosen;
  const bridge = ctx.networks.list().find(({ driver, predefined }) => driver === 'bridge' && predefined);
  return [bridge?.gateway ?? '', bridge?.ipv6?.gateway ?? ''].filter((address) => address !== '');
}

/** When a running container joins its first network with a name server, or leaves the last. */
export async function rewriteResolvConf(ctx: EngineContext, container: Container, named: boolean): Promise<void> {
  const ipv6 = Object.values(container.body.networks).some(({ endpoint }) => endpoint?.ipv6);
  writeFileSync(containerPaths(ctx, container.id).resolvConf, await resolvText(ctx, container, { named, ipv6 }));
}

/** A container's addresses on a network, as `/etc/hosts` lists them. */
export function addressesOf(endpoint: Endpoint | undefined): string[] {
  return [endpoint?.ipAddress ?? '', endpoint?.ipv6?.ipAddress ?? ''].filter((address) => address !== '');
}

/** Addresses that came or went, in a file its container may have changed: only those lines are touched. */
export function changeHostsLines(
  ctx: EngineContext,
  container: Container,
  change: { add: Endpoint } | { remove: Endpoint },
): void {
  const path = containerPaths(ctx, container.id).hosts;
  const text = readHostFile(path);
  const { Hostname = '', Domainname } = container.body.config;
  const names = Domainname ? `${Hostname}.${Domainname} ${Hostname}` : Hostname;
  const lines = addressesOf('add' in change ? change.add : change.remove).map((address) => `${address}\t${names}\n`);
  const changed = 'add' in change ? text + lines.join('') : lines.reduce((left, line) => left.replace(line, ''), text);
  writeFileSync(path, changed);
}

async function resolvText(
  ctx: EngineContext,
  container: Container,
  { named, ipv6 }: { named: boolean; ipv6: boolean },
): Promise<string> {
  const { hostConfig } = container.body;
  const mode = hostConfig.NetworkMode === 'host' ? 'host' : named ? 'internal' : 'legacy';
  const host = await readHostResolvConf(mode);
  return resolvConf(host.hostText, { mode, ipv6, hostPath: host.hostPath, ...dnsOptions(ctx, container) });
}

/** The servers a container's own name server asks: those of its options, the daemon's, or the machine's. */
export async function nameServers(ctx: EngineContext, container: Container): Promise<readonly string[]> {
  const { dns } = dnsOptions(ctx, container);
  if (dns.length > 0) return dns;
  return (await readHostResolvConf('internal')).nameservers;
}

function dnsOptions(ctx: EngineContext, container: Container) {
  const { hostConfig } = container.body;
  const defaults = ctx.options.network;
  return {
    dns: firstGiven(hostConfig.Dns, defaults?.dns),
    search: firstGiven(hostConfig.DnsSearch, defaults?.dnsSearch),
    options: firstGiven(hostConfig.DnsOptions, defaults?.dnsOptions),
  };
}

function firstGiven(
  own: readonly string[] | null | undefined,
  fallback: readonly string[] | undefined,
): readonly string[] {
  return own?.length ? own : (fallback ?? []);
}

/** A file of the host, empty when it is not there. */
export function readHostFile(path: string): string {
  try {
    return readFileSync(path).toString();
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return '';
    throw error;
  }
}
