import { mkdir } from 'node:fs/promises';
import type { KeptStep } from '#builder';
import { completeHostConfig, mergeConfig } from './containers/config.ts';
import { Container } from './containers/container.ts';
import { claimName } from './containers/create.ts';
import { emitContainer } from './containers/events.ts';
import { containerPaths } from './containers/paths.ts';
import { type ContainerBody, initialState } from './containers/record.ts';
import { saveContainer } from './containers/store.ts';
import type { EngineContext } from './context.ts';
import { formatMs } from './time.ts';

/** Gives a build step that has ended a record: from here on it is a stopped container like any other. Its output went to the build, so it has no log. */
export async function keepBuildStep(ctx: EngineContext, kept: KeptStep): Promise<void> {
  const { id } = kept.step;
  const name = claimName(ctx, undefined, id);
  try {
    const container = new Container(id, name, bodyOf(ctx, kept));
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

function bodyOf(ctx: EngineContext, { step, imageID, image, chain, ...ended }: KeptStep): ContainerBody {
  const create = {
    Image: imageID ?? '',
    Entrypoint: [''],
    Cmd: step.args,
    Env: step.env,
    User: step.user,
    WorkingDir: step.cwd,
  };
  const given = {
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
    hostConfig: completeHostConfig(given, ctx.runtime.info.shownName, ctx.runtime.info.cgroupVersion),
    path: step.args[0] ?? '',
    args: step.args.slice(1),
    mounts: [],
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
