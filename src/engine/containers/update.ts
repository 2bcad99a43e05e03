import type { ContainerUpdateConfig, HostConfig, Resources } from '#api-types';
import { EngineError, messageOf } from '#errdefs';
import type { EngineContext } from '../context.ts';
import { checkLimits } from './config.ts';
import type { Container } from './container.ts';
import { emitContainer } from './events.ts';
import { readLimitSupport, withoutUnsupported } from './limit-support.ts';
import { readResourceSupport, settleResources } from './resources.ts';
import { resourceLimits } from './spec.ts';
import { saveContainer } from './store.ts';
import { blockLimitsOf, changedBlockLists, updatedBlockLists } from './update-block-io.ts';

/** What an update can set; zero, empty and absent leave a limit as it is. */
const updatable = [
  'BlkioWeight',
  'CpuShares',
  'NanoCpus',
  'CpuPeriod',
  'CpuQuota',
  'CpusetCpus',
  'CpusetMems',
  'Memory',
  'MemorySwap',
  'MemoryReservation',
] as const satisfies readonly (keyof Resources)[];

/** `POST /containers/{id}/update`: on the running process first, then on the record, so that a limit the kernel refuses is not recorded. */
export async function updateContainer(
  ctx: EngineContext,
  reference: string,
  given: ContainerUpdateConfig,
): Promise<{ Warnings: readonly string[] | null }> {
  const { cgroupVersion } = ctx.runtime.info;
  const { limits, warnings } = withoutUnsupported(given, readLimitSupport(cgroupVersion));
  const block = settleResources(blockLimitsOf(given), readResourceSupport(cgroupVersion));
  const wanted = { ...limits, ...block.hostConfig };
  checkLimits(wanted, { isUpdate: true });
  const container = ctx.containers.resolve(reference);
  using _held = await container.lock.acquire();
  try {
    await apply(ctx, container, wanted);
  } catch (cause) {
    const kind = cause instanceof EngineError && cause.kind === 'conflict' ? 'conflict' : 'internal';
    throw new EngineError(kind, `Cannot update container ${container.id}: ${messageOf(cause)}`, { cause });
  }
  emitContainer(ctx, container, 'update');
  const all = [...warnings, ...block.warnings];
  return { Warnings: all.length > 0 ? all : null };
}

async function apply(ctx: EngineContext, container: Container, wanted: ContainerUpdateConfig): Promise<void> {
  const current = container.body.hostConfig;
  checkConflicts(current, wanted);
  const hostConfig = merged(current, wanted);
  if (container.isUp) await ctx.runtime.update(container.id, changedLimits(current, wanted, hostConfig));
  container.body = { ...container.body, hostConfig };
  await saveContainer(ctx, container);
}

/** @throws `conflict` in dockerd's words. */
function checkConflicts(current: HostConfig, wanted: ContainerUpdateConfig): void {
  const refuse = (fact: string) => {
    throw new EngineError('conflict', fact);
  };
  const conflict = (ours: string, theirs: string) =>
    refuse(`Conflicting options: ${ours} cannot be updated as ${theirs} has already been set`);
  if (wanted.NanoCpus && current.CpuPeriod) conflict('Nano CPUs', 'CPU Period');
  if (wanted.NanoCpus && current.CpuQuota) conflict('Nano CPUs', 'CPU Quota');
  if (wanted.CpuPeriod && current.NanoCpus) conflict('CPU Period', 'NanoCPUs');
  if (wanted.CpuQuota && current.NanoCpus) conflict('CPU Quota', 'NanoCPUs');
  if (wanted.Memory && !wanted.MemorySwap && wanted.Memory > (current.MemorySwap ?? 0)) {
    refuse('Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time');
  }
  if (current.AutoRemove && (wanted.RestartPolicy?.Name || 'no') !== 'no') {
    refuse('Restart policy cannot be updated because AutoRemove is enabled for the container');
  }
}

/** @internal exported for its test. */
export function merged(current: HostConfig, wanted: ContainerUpdateConfig): HostConfig {
  const limits = Object.fromEntries(
    updatable.flatMap((name) => (wanted[name] ? [[name, wanted[name]] as const] : [])),
  ) as Partial<HostConfig>;
  const { PidsLimit, RestartPolicy } = wanted;
  return {
    ...current,
    ...limits,
    ...updatedBlockLists(wanted),
    ...(typeof PidsLimit === 'number' ? { PidsLimit: Math.max(PidsLimit, 0) } : {}),
    ...(RestartPolicy?.Name
      ? { RestartPolicy: { Name: RestartPolicy.Name, MaximumRetryCount: RestartPolicy.MaximumRetryCount ?? 0 } }
      : {}),
  };
}

/** Memory and swap are one limit to the kernel: each goes with the other's value. */
function changedLimits(current: HostConfig, wanted: ContainerUpdateConfig, result: HostConfig) {
  const touchesMemory = Boolean(wanted.Memory || wanted.MemorySwap);
  const { Memory, MemorySwap, ...rest } = Object.fromEntries(
    updatable.map((name) => [name, wanted[name]]),
  ) as Partial<HostConfig>;
  const memory = touchesMemory ? { Memory: result.Memory ?? 0, MemorySwap: result.MemorySwap ?? 0 } : {};
  const limits = resourceLimits({ ...rest, ...memory, ...changedBlockLists(current, wanted) });
  return typeof wanted.PidsLimit === 'number' ? { ...limits, pidsLimit: wanted.PidsLimit } : limits;
}
