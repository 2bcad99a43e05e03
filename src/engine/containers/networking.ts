import { readFileSync, writeFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { hostname } from 'node:os';
import type { HostConfig, PortMap } from '#api-types';
import { EngineError, isErrno, kindOf, messageOf } from '#errdefs';
import { hostnameFile, hostsFile, type PortBinding, parseExtraHost, readHostResolvConf, resolvConf } from '#network';
import type { EngineContext } from '../context.ts';
import type { Container } from './container.ts';
import { containerPaths } from './paths.ts';

/**
 * Puts a container on its network and writes its account files; answers the namespace's path, or `host`.
 * Nothing is left when it fails.
 */
export async function connectNetwork(ctx: EngineContext, container: Container): Promise<string> {
  const mode = container.body.hostConfig.NetworkMode ?? 'bridge';
  if (mode === 'host') {
    await writeAccountFiles(ctx, container, []);
    return 'host';
  }
  const namespace = await ctx.networks.createNamespace(container.id);
  container.body = { ...container.body, sandboxPath: namespace.path };
  if (mode === 'none') {
    await writeAccountFiles(ctx, container, []);
    return namespace.path;
  }
  const network = bridgeNetwork(ctx, mode);
  const ports = wantedPorts(container.body.hostConfig, Object.keys(container.body.ports));
  const endpoint = await ctx.networks
    .connect(container.id, { networkID: network.id, name: container.name, ports })
    .catch((error: unknown) => Promise.reject(connectError(error)));
  container.body = {
    ...container.body,
    endpoint,
    ports: boundPorts(Object.keys(container.body.ports), endpoint.ports),
  };
  await writeAccountFiles(ctx, container, [endpoint.ipAddress]);
  return namespace.path;
}

function bridgeNetwork(ctx: EngineContext, mode: string) {
  const found = ctx.networks.list().find((network) => network.name === mode || network.id === mode);
  if (!found) throw connectError(new EngineError('not-found', `network ${mode} not found`));
  return found;
}

/** dockerd answers a taken port with 500, not 409. */
function connectError(error: unknown): EngineError {
  const kind = kindOf(error);
  return new EngineError(
    kind === 'conflict' ? 'internal' : kind,
    `failed to set up container networking: ${messageOf(error)}`,
    { cause: error },
  );
}

/** Takes a container off its network; absent is fine. */
export async function disconnectNetwork(ctx: EngineContext, container: Container): Promise<void> {
  const mode = container.body.hostConfig.NetworkMode;
  if (mode === 'host') return;
  const endpoint = container.body.endpoint;
  if (endpoint) {
    await ctx.networks.disconnect(container.id, endpoint.networkID);
    const { endpoint: _gone, ...rest } = container.body;
    container.body = { ...rest, ports: Object.fromEntries(Object.keys(rest.ports).map((port) => [port, null])) };
    const network = ctx.networks.list().find((candidate) => candidate.id === endpoint.networkID);
    ctx.events.emit({
      type: 'network',
      action: 'disconnect',
      id: endpoint.networkID,
      attributes: { container: container.id, name: network?.name ?? 'bridge', type: network?.driver ?? 'bridge' },
    });
  }
  await ctx.networks.removeNamespace(container.id);
}

function parsePort(spec: string): { port: number; protocol: 'tcp' | 'udp' | 'sctp' } {
  const [, port = '', protocol = 'tcp'] = /^(\d+)(?:\/(tcp|udp|sctp))?$/.exec(spec) ?? [];
  const number = Number(port);
  if (port === '' || number < 1 || number > 65535)
    throw new EngineError('invalid-argument', `invalid port specification: "${spec.split('/', 1)[0]}"`);
  return { port: number, protocol: protocol as 'tcp' | 'udp' | 'sctp' };
}

/** The host ports a container asks for. @throws `invalid-argument` for what is no port. */
export function wantedPorts(host: HostConfig, exposed: readonly string[]): PortBinding[] {
  const bindings: PortBinding[] = [];
  for (const [spec, list] of Object.entries(host.PortBindings ?? {})) {
    const { port, protocol } = parsePort(spec);
    for (const binding of list?.length ? list : [{}]) {
      bindings.push({
        containerPort: port,
        protocol,
        hostIP: binding.HostIp ?? '',
        ...hostPorts(binding.HostPort ?? ''),
      });
    }
  }
  if (!host.PublishAllPorts) return bindings;
  for (const spec of exposed) {
    const { port, protocol } = parsePort(spec);
    if (bindings.some((other) => other.containerPort === port && other.protocol === protocol)) continue;
    bindings.push({ containerPort: port, protocol, hostIP: '', hostPort: 0 });
  }
  return bindings;
}

/** `8080`, `8000-8010` (the first free one) or nothing (any). */
function hostPorts(text: string): Pick<PortBinding, 'hostPort' | 'hostPortEnd'> {
  if (text === '') return { hostPort: 0 };
  const [, from = '', to] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text) ?? [];
  if (from === '' || Number(to ?? from) > 65535)
    throw new EngineError('invalid-argument', `invalid port specification: "${text}"`);
  return to === undefined ? { hostPort: Number(from) } : { hostPort: Number(from), hostPortEnd: Number(to) };
}

function boundPorts(exposed: readonly string[], bound: readonly PortBinding[]): PortMap {
  const map: Record<string, { HostIp: string; HostPort: string }[] | null> = Object.fromEntries(
    exposed.map((port) => [port, null]),
  );
  for (const binding of bound) {
    const key = `${binding.containerPort}/${binding.protocol}`;
    (map[key] ??= []).push({
      HostIp: binding.hostIP === '' ? '0.0.0.0' : binding.hostIP,
      HostPort: String(binding.hostPort),
    });
  }
  return map;
}

/** hosts, hostname and resolv.conf as dockerd writes them; made anew at every start. */
async function writeAccountFiles(
  ctx: EngineContext,
  container: Container,
  addresses: readonly string[],
): Promise<void> {
  const paths = containerPaths(ctx, container.id);
  const { config, hostConfig } = container.body;
  const onHost = hostConfig.NetworkMode === 'host';
  const name = onHost ? hostname() : (config.Hostname ?? '');
  const gateway = ctx.networks.list().find((network) => network.driver === 'bridge')?.gateway ?? '';
  const hosts = hostsFile({
    hostname: name,
    domainname: config.Domainname ?? '',
    addresses,
    extraHosts: (hostConfig.ExtraHosts ?? []).map((item) => parseExtraHost(item, gateway)),
    ...(onHost ? { hostText: readHostFile('/etc/hosts') } : {}),
  });
  for (const server of hostConfig.Dns ?? []) {
    if (isIP(server) === 0) throw new EngineError('internal', `bad nameserver address ${server}`);
  }
  const defaults = ctx.options.network;
  const host = await readHostResolvConf(onHost ? 'host' : 'legacy');
  const resolv = resolvConf(host.hostText, {
    mode: onHost ? 'host' : 'legacy',
    hostPath: host.hostPath,
    dns: firstGiven(hostConfig.Dns, defaults?.dns),
    search: firstGiven(hostConfig.DnsSearch, defaults?.dnsSearch),
    options: firstGiven(hostConfig.DnsOptions, defaults?.dnsOptions),
  });
  writeFileSync(paths.hostname, hostnameFile(name), { mode: 0o644 });
  writeFileSync(paths.hosts, hosts, { mode: 0o644 });
  writeFileSync(paths.resolvConf, resolv, { mode: 0o644 });
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
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return '';
    throw error;
  }
}
