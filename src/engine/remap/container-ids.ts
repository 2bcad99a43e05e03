import type { HostConfig } from '#api-types';
import { EngineError } from '#errdefs';
import type { Container } from '../containers/container.ts';
import type { EngineContext } from '../context.ts';
import { type IDMapping, mappingOfProcess } from './id-mapping.ts';
import type { Remap } from './remap.ts';

type Given = Pick<EngineContext, 'remap'>;

/** What a container that starts now gets; undefined: the daemon's own IDs. */
export function remapOf(ctx: Given, host: Pick<HostConfig, 'UsernsMode'>): Remap | undefined {
  return host.UsernsMode === 'host' ? undefined : ctx.remap;
}

/** How its IDs are shown outside, of one that runs as it was started. */
export function idsOf(ctx: Given, container: Container): IDMapping | undefined {
  const { state, hostConfig } = container.body;
  return container.isUp && state.pid > 0 ? mappingOfProcess(state.pid) : remapOf(ctx, hostConfig)?.mapping;
}

/** @throws `invalid-argument` in Docker's words for what a container with other IDs cannot have of the host. */
export function checkUserNamespace(ctx: Given, host: HostConfig): void {
  if (!remapOf(ctx, host)) return;
  const invalid = (message: string) => new EngineError('invalid-argument', message);
  if (host.Privileged) {
    throw invalid(
      'privileged mode is incompatible with user namespaces.  You must run the container in the host namespace when running privileged mode',
    );
  }
  if (host.NetworkMode === 'host') {
    throw invalid("cannot share the host's network namespace when user namespaces are enabled");
  }
  if (host.PidMode === 'host') {
    throw invalid('cannot share the host PID namespace when user namespaces are enabled');
  }
}
