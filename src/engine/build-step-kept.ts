import { mkdir } from 'node:fs/promises';
import type { KeptMount, KeptStep } from '#builder';
import type { StepHost } from './build-step.ts';
import { completeHostConfig, mergeConfig } from './containers/config.ts';
import { Container } from './containers/container.ts';
import { withContainerDefaults } from './containers/container-defaults.ts';
import { claimName } from './containers/create.ts';
import { emitContainer } from './containers/events.ts';
import { containerPaths } from './containers/paths.ts';
import { type ContainerBody, initialState, type PlannedMount } from './containers/record.ts';
import { saveContainer } from './containers/store.ts';
import type { EngineContext } from './context.ts';
import { formatMs } from './time.ts';

/** Gives a build step that has ended a record: from here on it is a stopped container like any other. Its output went to the build, so it has no log. */
export async function keepBuildStep(ctx: EngineContext, kept: KeptStep, host: StepHost): Promise<void> {
  const { id } = kept.step;
  const name = claimName(ctx, undefined, id);
  try {
    const container = new Container(id, name, bodyOf(ctx, kept, host));
    await mkdir(containerPaths(ctx, id).folder, { recursive: true, mode: 0o710 });
    await saveContainer(ctx, container, true);
    ctx.containers.add(container);
    emitContainer(ctx, container, 'create');
    emitContainer(ctx, container, 'die', { exitCode: String(kept.exitCode) });
  } catch (error) {
    ctx.containers.releaseName(name);
    throw error;
  }
}

function bodyOf(
  ctx: EngineContext,
  { step, imageID, image, chain, mounts, ...ended }: KeptStep,
  host: StepHost,
): ContainerBody {
  const create = {
    Image: imageID ?? '',
    Entrypoint: [''],
    Cmd: step.args,
    Env: step.env,
    User: step.user,
    WorkingDir: step.cwd,
  };
  const given = {
    ...host,
    LogConfig: { Type: 'none' },
    NetworkMode: step.networkMode,
    ExtraHosts: step.extraHosts,
    ...(step.shmSizeBytes === undefined ? {} : { ShmSize: step.shmSizeBytes }),
    Memory: step.limits.memoryBytes ?? 0,
    MemorySwap: step.limits.memorySwapBytes ?? 0,
    CpuShares: step.limits.cpuShares ?? 0,
    CpuPeriod: step.limits.cpuPeriod ?? 0,
    CpuQuota: step.limits.cpuQuota ?? 0,
    CpusetCpus: step.limits.cpusetCpus ?? '',
    CpusetMems: step.limits.cpusetMems ?? '',
  };
  return {
    created: formatMs(ended.startedAtMs),
    image: imageID ?? '',
    imageID: imageID ?? '',
    chain,
    config: mergeConfig(step.id, { ...create, HostConfig: given }, image.config),
    hostConfig: completeHostConfig(
      withContainerDefaults(given, ctx.options.containerDefaults),
      ctx.runtime.info.shownName,
      ctx.runtime.info.cgroupVersion,
    ),
    path: step.args[0] ?? '',
    args: step.args.slice(1),
    mounts: mounts.map(plannedMount),
    step: true,
    state: {
      ...initialState,
      status: 'exited',
      exitCode: ended.exitCode,
      startedAt: formatMs(ended.startedAtMs),
      finishedAt: formatMs(ended.finishedAtMs),
    },
    networks: {},
    ports: {},
    driver: ctx.snapshots.name,
    restartCount: 0,
  };
}

/** Files of the build are mounted from their layers, which the container's record keeps from now on; caches are lent at each start. */
function plannedMount(mount: KeptMount): PlannedMount {
  const { target: destination } = mount;
  if (mount.kind === 'tmpfs') return tmpfs(destination, mount.sizeBytes > 0 ? [`size=${mount.sizeBytes}`] : []);
  const { readOnly } = mount;
  if (mount.kind === 'cache') {
    const { name, path: source, wish } = mount;
    const how = { mode: '', propagation: 'rprivate', recursive: true };
    return { kind: 'bind', source, destination, readOnly, ...how, cache: { name, wish } };
  }
  const { from: name, chain } = mount;
  if (chain.length === 0) return tmpfs(destination, ['ro']);
  const subpath = mount.source.slice(1);
  const part = subpath === '' ? {} : { subpath };
  return { kind: 'image', name, chain, source: '', destination, mode: '', readOnly, ...part };
}

function tmpfs(destination: string, options: readonly string[]): PlannedMount {
  return { kind: 'tmpfs', destination, options: ['nosuid', 'nodev', ...options], listed: false };
}
