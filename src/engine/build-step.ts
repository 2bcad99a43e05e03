import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostConfig } from '#api-types';
import type { EndedStep, StepMount, StepRun } from '#builder';
import { cleanup } from '#concurrency';
import { type ContainerSpec, defaultMaskedPaths, defaultReadonlyPaths, type SpecMount } from '#runtime';
import { connectStep, disconnectStep, type StepNetwork } from './build-step-network.ts';
import { defaultCapabilities } from './containers/capabilities.ts';
import { defaultShmBytes } from './containers/config.ts';
import { wantsInit } from './containers/container-defaults.ts';
import { initBinary } from './containers/init-binary.ts';
import { processEnv, processLimits } from './containers/spec.ts';
import { resolveUser } from './containers/user.ts';
import type { EngineContext } from './context.ts';

const sigkill = 9;

/** What a build asks of every step's container, as the API names it. */
export type StepHost = Pick<HostConfig, 'Ulimits' | 'CgroupParent'>;

/**
 * Runs one RUN step to its end: a container without a record, of which only the snapshot is there once it is cleared. Its network is made while its root is
 * mounted, and goes while its layer is read. An abort kills it within moments.
 */
export async function runBuildStep(ctx: EngineContext, step: StepRun, host: StepHost): Promise<EndedStep> {
  const folder = join(ctx.execRoot, 'steps', step.id);
  try {
    step.signal.throwIfAborted();
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const [network, rootfs] = await bothOrNone(connectStep(ctx, step, folder), step.rootfs);
    const exitCode = await runToEnd(ctx, step, await stepSpec(ctx, step, { rootfs, network, host }));
    return { exitCode, cleared: clearStep(ctx, step, folder) };
  } catch (error) {
    await clearStep(ctx, step, folder);
    throw error;
  }
}

/** What is made beside each other, once both have settled: what fails leaves nothing that is still being made. */
async function bothOrNone<A, B>(one: Promise<A>, other: Promise<B>): Promise<[A, B]> {
  await Promise.allSettled([one, other]);
  return [await one, await other];
}

async function clearStep(ctx: EngineContext, step: StepRun, folder: string): Promise<void> {
  await cleanup('build step', async () => {
    await ctx.runtime.delete(step.id, { force: true });
    await disconnectStep(ctx, step);
    await rm(folder, { recursive: true, force: true });
  });
}

async function runToEnd(ctx: EngineContext, step: StepRun, spec: ContainerSpec): Promise<number> {
  const created = await ctx.runtime.create(spec, { openStdin: false, signal: step.signal });
  await using attachment = await created.process.attach();
  const kill = () => void ctx.runtime.kill(spec.id, sigkill, { all: true }).catch(() => {});
  step.signal.addEventListener('abort', kill, { once: true });
  try {
    await created.start();
    const startedMs = performance.now();
    for await (const chunk of attachment.output) step.onOutput(chunk.stream, chunk.data);
    const { exitCode } = await created.process.exited;
    step.onEnded?.(performance.now() - startedMs);
    step.signal.throwIfAborted();
    return exitCode;
  } finally {
    step.signal.removeEventListener('abort', kill);
  }
}

async function stepSpec(
  ctx: EngineContext,
  step: StepRun,
  { rootfs, network, host }: { rootfs: string; network: StepNetwork; host: StepHost },
): Promise<ContainerSpec> {
  const user = resolveUser(rootfs, step.user);
  const { hostname } = network;
  const defaults = ctx.options.containerDefaults;
  return {
    id: step.id,
    rootfs,
    readonlyRootfs: false,
    hostname,
    process: {
      args: step.args,
      env: processEnv([...step.env, ...step.secretEnv], { hostname, terminal: false, home: user.home, linked: [] }),
      cwd: step.cwd || '/',
      terminal: false,
      uid: user.uid,
      gid: user.gid,
      additionalGids: user.additionalGids,
      capabilities: defaultCapabilities,
      noNewPrivileges: defaults?.noNewPrivileges ?? false,
      rlimits: processLimits(host),
    },
    mounts: [...network.mounts, ...step.mounts.map(specMount)],
    shmSizeBytes: step.shmSizeBytes ?? defaults?.shmSizeBytes ?? defaultShmBytes,
    resources: step.limits,
    networkNamespace: network.namespace,
    ...(ctx.remap && {
      namespaces: { user: ctx.networks.userNamespacePath(network.namespace) },
      userMappings: ctx.remap.mapping,
    }),
    privileged: false,
    ...(ctx.seccomp.profile === undefined ? {} : { seccomp: ctx.seccomp.profile }),
    sysctls: {},
    maskedPaths: defaultMaskedPaths,
    readonlyPaths: defaultReadonlyPaths,
    cgroupParent: host.CgroupParent || defaults?.cgroupParent || '',
    ...(wantsInit({}, defaults) ? { initPath: initBinary(defaults) } : {}),
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
