import { chown, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostConfig } from '#api-types';
import type { StepMount, StepRun } from '#builder';
import { cleanup } from '#concurrency';
import { EngineError } from '#errdefs';
import { hostnameFile, hostsFile, parseExtraHost, readHostResolvConf, resolvConf } from '#network';
import { type ContainerSpec, defaultMaskedPaths, defaultReadonlyPaths, type SpecMount } from '#runtime';
import { hostGateways, readHostFile } from './containers/account-files.ts';
import { defaultCapabilities } from './containers/capabilities.ts';
import { defaultShmBytes } from './containers/config.ts';
import { processEnv, processLimits } from './containers/spec.ts';
import { resolveUser } from './containers/user.ts';
import type { EngineContext } from './context.ts';
import { checkUserNamespace, mapText, rootOf } from './remap/index.ts';

const sigkill = 9;

/** What a build asks of every step's container, as the API names it. */
export type StepHost = Pick<HostConfig, 'Ulimits' | 'CgroupParent'>;

/**
 * Runs one RUN step to its end and answers its exit code: a container without a record, of which only the snapshot is there when this returns. An abort
 * kills it within moments.
 */
export async function runBuildStep(ctx: EngineContext, step: StepRun, host: StepHost): Promise<number> {
  step.signal.throwIfAborted();
  const { id } = step;
  const folder = join(ctx.execRoot, 'steps', id);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  try {
    const networkNamespace = await connectStep(ctx, step, id);
    const spec = await stepSpec(ctx, step, { id, folder, networkNamespace, host });
    return await runToEnd(ctx, step, spec);
  } finally {
    await cleanup('build step', async () => {
      await ctx.runtime.delete(id, { force: true });
      await disconnectStep(ctx, step, id);
      await rm(folder, { recursive: true, force: true });
    });
  }
}

async function runToEnd(ctx: EngineContext, step: StepRun, spec: ContainerSpec): Promise<number> {
  const created = await ctx.runtime.create(spec, { openStdin: false, signal: step.signal });
  await using attachment = await created.process.attach();
  const kill = () => void ctx.runtime.kill(spec.id, sigkill, { all: true }).catch(() => {});
  step.signal.addEventListener('abort', kill, { once: true });
  try {
    await created.start();
    for await (const chunk of attachment.output) step.onOutput(chunk.stream, chunk.data);
    const { exitCode } = await created.process.exited;
    step.signal.throwIfAborted();
    return exitCode;
  } finally {
    step.signal.removeEventListener('abort', kill);
  }
}

async function connectStep(ctx: EngineContext, step: StepRun, id: string): Promise<string> {
  if (step.networkMode === 'host') {
    checkUserNamespace(ctx, { NetworkMode: 'host' });
    return 'host';
  }
  const mapping = ctx.remap?.mapping;
  const owner = mapping && { uidMap: mapText(mapping.uids), gidMap: mapText(mapping.gids) };
  const namespace = await ctx.networks.createNamespace(id, owner);
  if (step.networkMode === 'none') return namespace.path;
  await ctx.networks.connect(id, { networkID: bridgeOf(ctx).id, ports: [] });
  return namespace.path;
}

async function disconnectStep(ctx: EngineContext, step: StepRun, id: string): Promise<void> {
  if (step.networkMode === 'host') return;
  if (step.networkMode === 'default') await ctx.networks.disconnect(id, bridgeOf(ctx).id);
  await ctx.networks.removeNamespace(id);
}

function bridgeOf(ctx: EngineContext) {
  const bridge = ctx.networks.list().find((network) => network.driver === 'bridge');
  if (!bridge) throw new EngineError('not-found', 'network bridge not found');
  return bridge;
}

async function stepSpec(
  ctx: EngineContext,
  step: StepRun,
  place: { id: string; folder: string; networkNamespace: string; host: StepHost },
): Promise<ContainerSpec> {
  const user = resolveUser(step.rootfs, step.user);
  const hostname = place.id.slice(0, 12);
  return {
    id: place.id,
    rootfs: step.rootfs,
    readonlyRootfs: false,
    hostname,
    process: {
      args: step.args,
      env: processEnv(step.env, { hostname, terminal: false, home: user.home, linked: [] }),
      cwd: step.cwd || '/',
      terminal: false,
      uid: user.uid,
      gid: user.gid,
      additionalGids: user.additionalGids,
      capabilities: defaultCapabilities,
      noNewPrivileges: false,
      rlimits: processLimits(place.host),
    },
    mounts: [...(await accountFiles(ctx, step, place.folder, hostname)), ...step.mounts.map(specMount)],
    shmSizeBytes: step.shmSizeBytes ?? defaultShmBytes,
    resources: step.limits,
    networkNamespace: place.networkNamespace,
    ...(ctx.remap && {
      namespaces: { user: ctx.networks.userNamespacePath(place.networkNamespace) },
      userMappings: ctx.remap.mapping,
    }),
    privileged: false,
    ...(ctx.seccomp.profile === undefined ? {} : { seccomp: ctx.seccomp.profile }),
    sysctls: {},
    maskedPaths: defaultMaskedPaths,
    readonlyPaths: defaultReadonlyPaths,
    cgroupParent: place.host.CgroupParent ?? '',
    annotations: {},
  };
}

function specMount(mount: StepMount): SpecMount {
  const { target: destination } = mount;
  if (mount.kind === 'bind') {
    const { source, readOnly } = mount;
    return { destination, type: 'bind', source, options: ['rbind', readOnly ? 'ro' : 'rw', 'rprivate'] };
  }
  const size = mount.sizeBytes > 0 ? [`size=${mount.sizeBytes}`] : [];
  return { destination, type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'nodev', ...size] };
}

/** resolv.conf, hosts and hostname are mounted, so that a step's layer never holds them. */
async function accountFiles(ctx: EngineContext, step: StepRun, folder: string, hostname: string): Promise<SpecMount[]> {
  const onHost = step.networkMode === 'host';
  const gateways = hostGateways(ctx);
  const extraHosts = step.extraHosts.flatMap((item) => parseExtraHost(item, gateways));
  const host = await readHostResolvConf(onHost ? 'host' : 'legacy');
  const files = {
    'resolv.conf': resolvConf(host.hostText, {
      mode: onHost ? 'host' : 'legacy',
      hostPath: host.hostPath,
      dns: ctx.options.network?.dns ?? [],
    }),
    hosts: hostsFile({
      hostname,
      addresses: [],
      extraHosts,
      ...(onHost ? { hostText: readHostFile('/etc/hosts') } : {}),
    }),
    hostname: hostnameFile(hostname),
  };
  const owner = rootOf(ctx.remap?.mapping);
  return await Promise.all(
    Object.entries(files).map(async ([name, text]): Promise<SpecMount> => {
      await writeFile(join(folder, name), text, { mode: 0o644 });
      await chown(join(folder, name), owner.uid, owner.gid);
      return {
        destination: `/etc/${name}`,
        type: 'bind',
        source: join(folder, name),
        options: ['rbind', 'rw', 'rprivate'],
      };
    }),
  );
}
