import { chown, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { StepRun } from '#builder';
import { EngineError } from '#errdefs';
import { hostnameFile, hostsFile, type NetworkInfo, parseExtraHost, readHostResolvConf, resolvConf } from '#network';
import type { SpecMount } from '#runtime';
import { hostGateways, readHostFile } from './containers/account-files.ts';
import { joinNetwork } from './containers/networking.ts';
import type { EngineContext } from './context.ts';
import { refuseConfiguration } from './networks/configurations.ts';
import { findNetwork } from './networks/find.ts';
import { checkUserNamespace, mapText, rootOf } from './remap/index.ts';

/** Where a step's network is (a namespace's path, or `host`), and the files of its root that tell of it. */
export interface StepNetwork {
  readonly namespace: string;
  readonly hostname: string;
  readonly mounts: readonly SpecMount[];
}

/**
 * Connects a build step as its network mode says: `default`, `none`, `host`, `container:x` or a network's name or ID. Nothing is left once
 * {@link disconnectStep} was called. @throws `not-found`, `conflict` in dockerd's words
 */
export async function connectStep(ctx: EngineContext, step: StepRun, folder: string): Promise<StepNetwork> {
  const { id, networkMode } = step;
  const hostname = id.slice(0, 12);
  if (networkMode.startsWith('container:')) return joined(ctx, networkMode.slice('container:'.length));
  if (networkMode === 'host') {
    checkUserNamespace(ctx, { NetworkMode: 'host' });
    return { namespace: 'host', hostname, mounts: await accountFiles(ctx, step, folder) };
  }
  const network = networkMode === 'none' ? undefined : requireNetwork(ctx, networkMode);
  const mapping = ctx.remap?.mapping;
  const owner = mapping && { uidMap: mapText(mapping.uids), gidMap: mapText(mapping.gids) };
  const { path: namespace } = await ctx.networks.createNamespace(id, owner);
  if (network) await connect(ctx, step, network);
  return { namespace, hostname, mounts: await accountFiles(ctx, step, folder, network) };
}

/** Absent is fine. */
export async function disconnectStep(ctx: EngineContext, { id, networkMode }: StepRun): Promise<void> {
  if (networkMode === 'host' || networkMode.startsWith('container:')) return;
  const network = networkMode === 'none' ? undefined : findStepNetwork(ctx, networkMode);
  if (network) await ctx.networks.disconnect(id, network.id);
  await ctx.networks.removeNamespace(id);
}

function joined(ctx: EngineContext, reference: string): StepNetwork {
  const { namespace, accountFiles: files, hostname = '' } = joinNetwork(ctx, reference);
  const paths = { hostname: files.hostname, hosts: files.hosts, 'resolv.conf': files.resolvConf };
  return { namespace, hostname, mounts: Object.entries(paths).map(([name, source]) => accountMount(name, source)) };
}

async function connect(ctx: EngineContext, { id }: StepRun, network: NetworkInfo): Promise<void> {
  refuseConfiguration(ctx, network);
  const resolving = network.predefined
    ? {}
    : { resolving: { names: [id.slice(0, 12)], links: {}, servers: await servers(ctx) } };
  await ctx.networks.connect(id, { networkID: network.id, ports: [], ...resolving });
}

async function servers(ctx: EngineContext): Promise<readonly string[]> {
  const own = ctx.options.network?.dns ?? [];
  return own.length > 0 ? own : (await readHostResolvConf('internal')).nameservers;
}

function findStepNetwork(ctx: EngineContext, mode: string): NetworkInfo | undefined {
  return mode === 'default' ? ctx.networks.list().find(({ driver }) => driver === 'bridge') : findNetwork(ctx, mode);
}

function requireNetwork(ctx: EngineContext, mode: string): NetworkInfo {
  const found = findStepNetwork(ctx, mode);
  if (found) return found;
  const name = mode === 'default' ? 'bridge' : mode;
  throw new EngineError('not-found', `failed to set up container networking: network ${name} not found`);
}

/** resolv.conf, hosts and hostname are mounted, so that a step's layer never holds them. */
async function accountFiles(
  ctx: EngineContext,
  step: StepRun,
  folder: string,
  network?: NetworkInfo,
): Promise<SpecMount[]> {
  const onHost = step.networkMode === 'host';
  const hostname = step.id.slice(0, 12);
  const mode = onHost ? 'host' : network && !network.predefined ? 'internal' : 'legacy';
  const gateways = hostGateways(ctx);
  const host = await readHostResolvConf(mode);
  const files = {
    'resolv.conf': resolvConf(host.hostText, {
      mode,
      hostPath: host.hostPath,
      dns: ctx.options.network?.dns ?? [],
    }),
    hosts: hostsFile({
      hostname,
      // The step's own address is another in each build: no fact of the image.
      addresses: [],
      extraHosts: step.extraHosts.flatMap((item) => parseExtraHost(item, gateways)),
      ...(onHost ? { hostText: readHostFile('/etc/hosts') } : {}),
    }),
    hostname: hostnameFile(hostname),
  };
  const owner = rootOf(ctx.remap?.mapping);
  return await Promise.all(
    Object.entries(files).map(async ([name, text]) => {
      await writeFile(join(folder, name), text, { mode: 0o644 });
      await chown(join(folder, name), owner.uid, owner.gid);
      return accountMount(name, join(folder, name));
    }),
  );
}

function accountMount(name: string, source: string): SpecMount {
  return { destination: `/etc/${name}`, type: 'bind', source, options: ['rbind', 'rw', 'rprivate'] };
}
