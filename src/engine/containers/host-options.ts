import type { ContainerCreateConfig, HostConfig } from '#api-types';
import { EngineError } from '#errdefs';
import type { EngineContext } from '../context.ts';
import { checkUserNamespace } from '../remap/index.ts';
import { completeHostConfig } from './config.ts';
import { withContainerDefaults } from './container-defaults.ts';
import { lacksForwarding } from './forwarding.ts';
import { readLimitSupport, withoutUnsupported } from './limit-support.ts';
import { completeLogConfig } from './log-config.ts';
import { checkNamespaceModes, donorByID } from './namespaces.ts';
import { readResourceSupport, settleResources } from './resources.ts';
import { sizeLimitOf } from './size-limit.ts';

/** What a container's host configuration comes to on this machine, complete, and what of it had to be left out. */
export interface SettledOptions {
  readonly hostConfig: HostConfig;
  readonly warnings: readonly string[];
}

/** @throws in Docker's words for options that contradict each other, or that this machine does not have. */
export function settleOptions(
  ctx: EngineContext,
  create: Pick<ContainerCreateConfig, 'Hostname'>,
  given: HostConfig,
): SettledOptions {
  checkNamespaceModes(given, create);
  checkIsolation(given.Isolation ?? '');
  checkUserNamespace(ctx, given);
  sizeLimitOf(given, ctx.snapshots);
  if (given.Runtime && !ctx.runtime.runtimes.has(given.Runtime)) {
    throw new EngineError('invalid-argument', `unknown or invalid runtime name: ${given.Runtime}`);
  }
  const { cgroupVersion, shownName } = ctx.runtime.info;
  const { limits, warnings: unsupported } = withoutUnsupported(given, readLimitSupport(cgroupVersion));
  const defaulted = withContainerDefaults(limits, ctx.options.containerDefaults);
  const logged = { ...defaulted, LogConfig: completeLogConfig(given.LogConfig, ctx.options.logDefaults) };
  const completed = completeHostConfig(logged, shownName, cgroupVersion);
  const { hostConfig, warnings } = settleResources(completed, readResourceSupport(cgroupVersion));
  return {
    warnings: [
      ...unsupported,
      ...warnings,
      ...hostNetworkWarnings(hostConfig),
      ...forwardingWarnings(ctx, hostConfig),
      ...kernelMemoryWarnings(given),
    ],
    hostConfig: {
      ...hostConfig,
      IpcMode: donorByID(ctx, hostConfig.IpcMode ?? ''),
      PidMode: donorByID(ctx, hostConfig.PidMode ?? ''),
    },
  };
}

function checkIsolation(isolation: string): void {
  if (isolation === '' || isolation.toLowerCase() === 'default') return;
  throw new EngineError('invalid-argument', `invalid isolation (${isolation}): linux only supports 'default'`);
}

function hostNetworkWarnings(host: HostConfig): string[] {
  const published = Object.keys(host.PortBindings ?? {}).length > 0;
  return host.NetworkMode === 'host' && published ? ['Published ports are discarded when using host network mode'] : [];
}

function forwardingWarnings(ctx: EngineContext, { NetworkMode: mode = '' }: HostConfig): string[] {
  const needed = mode !== 'host' && mode !== 'none' && !mode.startsWith('container:');
  return needed && lacksForwarding(ctx) ? ['IPv4 forwarding is disabled. Networking will not work.'] : [];
}

/** dockerd drops it without a word. */
function kernelMemoryWarnings({ KernelMemory }: HostConfig): string[] {
  return KernelMemory ? ['The kernel no longer limits kernel memory by itself. Kernel memory limit discarded.'] : [];
}
