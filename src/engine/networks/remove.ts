import type { Filters, NetworksPruned } from '#api-types';
import { EngineError, isKind } from '#errdefs';
import { log } from '#log';
import type { NetworkInfo } from '#network';
import type { Container } from '../containers/container.ts';
import type { EngineContext } from '../context.ts';
import { checkFilterKeys, matchesLabels } from '../filters.ts';
import { untilMs } from '../images/list.ts';
import { holdConfiguration, refuseInUse } from './configurations.ts';
import { resolveNetwork } from './find.ts';
import { storedNetwork } from './store.ts';

/** @throws `permission-denied` in dockerd's words for predefined networks, those a running container is on, and configurations others were made from. */
export async function removeNetwork(ctx: EngineContext, reference: string): Promise<void> {
  const network = resolveNetwork(ctx, reference);
  if (network.predefined) {
    throw new EngineError('permission-denied', `${network.name} is a pre-defined network and cannot be removed`);
  }
  using _held = await holdConfiguration(ctx, network.name);
  refuseInUse(ctx, network);
  const users = [...connectedContainers(ctx, network)];
  if (users.length > 0) {
    const list = users.map(({ container, endpointID }) => `name:"${container.name}" id:"${endpointID.slice(0, 12)}"`);
    throw new EngineError(
      'permission-denied',
      `error while removing network: network ${network.name} has active endpoints (${list.join(', ')})`,
    );
  }
  await ctx.networks.remove(network.id);
  const { configuration } = storedNetwork(ctx.metadata, network.id) ?? {};
  await ctx.metadata.networks.remove(network.id);
  // Of a configuration that goes dockerd says nothing either.
  if (configuration) return;
  ctx.events.emit({
    type: 'network',
    action: 'destroy',
    id: network.id,
    attributes: { name: network.name, type: network.driver },
  });
}

export function* connectedContainers(
  ctx: EngineContext,
  network: NetworkInfo,
): Generator<{ container: Container; endpointID: string }> {
  for (const container of ctx.containers.all()) {
    for (const { endpoint } of Object.values(container.body.networks)) {
      if (endpoint?.networkID === network.id) yield { container, endpointID: endpoint.endpointID };
    }
  }
}

/** `POST /networks/prune`: networks of users that no running container is on. */
export async function pruneNetworks(ctx: EngineContext, options: { filters?: Filters } = {}): Promise<NetworksPruned> {
  const filters = options.filters ?? {};
  checkFilterKeys(filters, ['label', 'label!', 'until']);
  const until = untilMs(filters);
  const deleted: string[] = [];
  for (const network of ctx.networks.list()) {
    if (network.predefined || !matchesLabels(storedNetwork(ctx.metadata, network.id)?.labels, filters)) continue;
    if (until !== undefined && network.createdAt.getTime() >= until) continue;
    if (!connectedContainers(ctx, network).next().done) continue;
    try {
      await removeNetwork(ctx, network.id);
      deleted.push(network.name);
    } catch (error) {
      // A container came in between, or somebody else removed it.
      if (!isKind(error, 'permission-denied') && !isKind(error, 'not-found')) throw error;
      log.debug('network not pruned', { network: network.name, error });
    }
  }
  ctx.events.emit({ type: 'network', action: 'prune', id: '', attributes: { reclaimed: '0' } });
  return { NetworksDeleted: deleted.length > 0 ? deleted : null };
}
