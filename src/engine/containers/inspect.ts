import type { ContainerInspect, ContainerState, EndpointSettings, HostConfig, NetworkSettings } from '#api-types';
import type { EngineContext } from '../context.ts';
import type { Container } from './container.ts';
import { shownHealth } from './health.ts';
import type { GraphData } from './inspected.ts';
import { shownLinks } from './links/index.ts';
import { mountPoints } from './mount-points.ts';
import { containerPaths } from './paths.ts';
import { publishingNetworks, shownPortMap } from './shown-ports.ts';
import { imageSizeBytes } from './sizes.ts';

/**
 * `GET /containers/{id}/json`, keys in dockerd's order. Who asks again before anything has changed gets the same object, so that a surface may keep
 * what it made of it.
 */
export async function inspectContainer(
  ctx: EngineContext,
  reference: string,
  options: { size?: boolean } = {},
): Promise<ContainerInspect> {
  const container = ctx.containers.resolve(reference);
  const graph = await graphData(ctx, container);
  if (!options.size) return ctx.containers.inspected.answer(container, graph, () => describe(ctx, container, graph));
  const SizeRw = (await ctx.snapshots.usage(container.id)).sizeBytes;
  return describe(ctx, container, graph, { SizeRw, SizeRootFs: imageSizeBytes(ctx, container) });
}

function describe(
  ctx: EngineContext,
  container: Container,
  graph: GraphData,
  sizes: Pick<ContainerInspect, 'SizeRw' | 'SizeRootFs'> = {},
): ContainerInspect {
  const { body } = container;
  const paths = containerPaths(ctx, container.id);
  const networked = body.state.startedAt.startsWith('0001') === false;
  return {
    Id: container.id,
    Created: body.created,
    Path: body.path,
    Args: body.args,
    State: containerState(container),
    Image: body.imageID,
    ResolvConfPath: networked ? paths.resolvConf : '',
    HostnamePath: networked ? paths.hostname : '',
    HostsPath: networked ? paths.hosts : '',
    LogPath: networked && body.hostConfig.LogConfig?.Type === 'json-file' ? paths.log : '',
    Name: `/${container.name}`,
    RestartCount: body.restartCount,
    Driver: body.driver,
    Platform: 'linux',
    MountLabel: '',
    ProcessLabel: '',
    AppArmorProfile: networked ? '' : appArmorProfile(body.hostConfig),
    ExecIDs: container.execIDs.length > 0 ? container.execIDs : null,
    HostConfig: { ...body.hostConfig, Links: shownLinks(ctx, container) },
    GraphDriver: { Data: graph, Name: body.driver },
    ...sizes,
    Mounts: mountPoints(body.mounts),
    Config: withMacAddress(container),
    NetworkSettings: networkSettings(ctx, container),
  };
}

/** As asked for, until a start finds that nothing confines by it. */
function appArmorProfile({ SecurityOpt }: HostConfig): string {
  return SecurityOpt?.findLast((option) => option.startsWith('apparmor='))?.slice('apparmor='.length) ?? '';
}

/** Clients read a MAC address that was asked for here, wherever they wrote it. */
function withMacAddress({ body }: Container): ContainerInspect['Config'] {
  if (body.hostConfig.NetworkMode === 'host' || body.hostConfig.NetworkMode === 'none') return body.config;
  const address = body.networks[body.hostConfig.NetworkMode ?? '']?.config.MacAddress;
  if (!address) return body.config;
  const { OnBuild, Labels, ...rest } = body.config;
  const { StopSignal: _signal, StopTimeout: _timeout, Shell: _shell, ...before } = rest;
  return { ...before, MacAddress: address, ...body.config };
}

async function graphData(ctx: EngineContext, { id, body }: Container): Promise<GraphData> {
  const folders = body.driver === ctx.snapshots.name ? await ctx.snapshots.folders(id) : null;
  return folders && { ID: id, ...folders };
}

function containerState(container: Container): ContainerState {
  const { status, pid, exitCode, oomKilled, error, startedAt, finishedAt } = container.body.state;
  return {
    Status: status,
    Running: container.isRunning,
    Paused: status === 'paused',
    Restarting: status === 'restarting',
    OOMKilled: oomKilled,
    Dead: status === 'dead',
    Pid: pid,
    ExitCode: exitCode,
    Error: error,
    StartedAt: startedAt,
    FinishedAt: finishedAt,
    ...shownHealth(container.body),
  };
}

function networkSettings(ctx: EngineContext, container: Container): NetworkSettings {
  // Docker's first days live on: the default bridge's endpoint stands beside the list.
  const { bridge } = endpointSettings(container);
  const endpoint = container.body.networks['bridge']?.endpoint;
  return {
    Bridge: '',
    SandboxID: container.isUp && container.body.sandboxPath ? container.id : '',
    SandboxKey: container.isUp ? (container.body.sandboxPath ?? '') : '',
    Ports: shownPortMap(container, () => publishingNetworks(ctx)),
    HairpinMode: false,
    LinkLocalIPv6Address: '',
    LinkLocalIPv6PrefixLen: 0,
    SecondaryIPAddresses: null,
    SecondaryIPv6Addresses: null,
    EndpointID: endpoint?.endpointID ?? '',
    Gateway: endpoint?.gateway ?? '',
    GlobalIPv6Address: endpoint?.ipv6?.ipAddress ?? '',
    GlobalIPv6PrefixLen: endpoint?.ipv6?.prefixLength ?? 0,
    IPAddress: endpoint?.ipAddress ?? '',
    IPPrefixLen: endpoint?.prefixLength ?? 0,
    IPv6Gateway: endpoint?.ipv6?.gateway ?? '',
    MacAddress: bridge?.MacAddress ?? '',
    Networks: endpointSettings(container),
  };
}

/** A container's places on its networks by name; empty addresses while it does not run. */
export function endpointSettings(container: Container): Record<string, EndpointSettings> {
  const names = Object.keys(container.body.networks).sort();
  const wasStarted = !container.body.state.startedAt.startsWith('0001');
  return Object.fromEntries(
    names.map((name) => {
      const { config, networkID, endpoint, dnsNames } = container.body.networks[name]!;
      return [
        name,
        {
          IPAMConfig: config.IPAMConfig ?? null,
          Links: config.Links ?? null,
          Aliases: config.Aliases ?? null,
          MacAddress: endpoint?.macAddress ?? (wasStarted ? '' : (config.MacAddress ?? '')),
          DriverOpts: config.DriverOpts ?? null,
          GwPriority: config.GwPriority ?? 0,
          NetworkID: networkID,
          EndpointID: endpoint?.endpointID ?? '',
          Gateway: endpoint?.gateway ?? '',
          IPAddress: endpoint?.ipAddress ?? '',
          IPPrefixLen: endpoint?.prefixLength ?? 0,
          IPv6Gateway: endpoint?.ipv6?.gateway ?? '',
          GlobalIPv6Address: endpoint?.ipv6?.ipAddress ?? '',
          GlobalIPv6PrefixLen: endpoint?.ipv6?.prefixLength ?? 0,
          DNSNames: dnsNames,
        },
      ];
    }),
  );
}
