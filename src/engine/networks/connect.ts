import type { NetworkConnectConfig, NetworkDisconnectConfig } from '#api-types';
import { EngineError, isKind } from '#errdefs';
import type { NetworkInfo } from '#network';
import { changeHostsLines, rewriteResolvConf } from '../containers/account-files.ts';
import { dnsNames, newAttachment, refuseFaults } from '../containers/attachments.ts';
import type { Container } from '../containers/container.ts';
import { emitNetwork } from '../containers/events.ts';
import { checkMode } from '../containers/network-modes.ts';
import { connectOne, movePorts, setAttachment } from '../containers/networking.ts';
import { saveContainer } from '../containers/store.ts';
import type { EngineContext } from '../context.ts';
import { resolveNetwork } from './find.ts';

/** `POST /networks/{id}/connect`: at once when the container runs, else from its next start on. */
export async function connectContainer(
  ctx: EngineContext,
  reference: string,
  config: NetworkConnectConfig,
): Promise<void> {
  checkContainer(config.Container);
  const container = ctx.containers.resolve(config.Container!);
  const network = resolveNetwork(ctx, reference);
  using _held = await container.lock.acquire();
  checkMode(container, network, container.isUp);
  const attachment = newAttachment(config.EndpointConfig ?? undefined);
  refuseFaults(network, attachment.config, '');
  if (container.isUp) await connectRunning(ctx, container, network, attachment);
  else {
    const names = network.predefined ? null : dnsNames(container, attachment.config);
    setAttachment(container, network.name, { ...attachment, dnsNames: names });
  }
  await saveContainer(ctx, container, true);
}

async function connectRunning(
  ctx: EngineContext,
  container: Container,
  network: NetworkInfo,
  attachment: ReturnType<typeof newAttachment>,
): Promise<void> {
  const wasNamed = isNamed(ctx, container);
  if (container.body.networks[network.name]?.endpoint) {
    throw new EngineError(
      'permission-denied',
      `endpoint with name ${container.name} already exists in network ${network.name}`,
    );
  }
  const endpoint = await connectOne(ctx, container, { network, attachment, publishes: false });
  emitNetwork(ctx, container, 'connect', network);
  changeHostsLines(ctx, container, { add: endpoint });
  if (!wasNamed && isNamed(ctx, container)) await rewriteResolvConf(ctx, container, true);
  await movePorts(ctx, container);
}

/** On a network with a name server, now. */
function isNamed(ctx: EngineContext, container: Container): boolean {
  const own = new Set(ctx.networks.list().flatMap(({ id, predefined }) => (predefined ? [] : [id])));
  return Object.values(container.body.networks).some(({ endpoint }) => endpoint && own.has(endpoint.networkID));
}

function checkContainer(reference: string | undefined): void {
  if (!reference) throw new EngineError('invalid-argument', 'invalid name or ID supplied: ""');
}

/** `POST /networks/{id}/disconnect`. */
export async function disconnectContainer(
  ctx: EngineContext,
  reference: string,
  config: NetworkDisconnectConfig,
): Promise<void> {
  checkContainer(config.Container);
  const network = resolveNetwork(ctx, reference);
  const container = findContainer(ctx, config);
  using _held = await container.lock.acquire();
  const attachment = container.body.networks[network.name];
  if (container.body.hostConfig.NetworkMode === 'host' && network.driver === 'host') {
    throw new EngineError(
      'invalid-argument',
      'container cannot be disconnected from host network or connected to host network',
    );
  }
  if (!attachment || (container.isUp && !attachment.endpoint)) {
    throw new EngineError('internal', `container ${container.id} is not connected to network ${network.name}`);
  }
  setAttachment(container, network.name, undefined);
  // The record first: a link without one goes with the next start, a record without a link would lie.
  await saveContainer(ctx, container, true);
  if (attachment.endpoint) {
    await ctx.networks.disconnect(container.id, network.id, { live: true });
    changeHostsLines(ctx, container, { remove: attachment.endpoint });
    if (!network.predefined && !isNamed(ctx, container)) await rewriteResolvConf(ctx, container, false);
    emitNetwork(ctx, container, 'disconnect', network);
    await movePorts(ctx, container);
  }
  await saveContainer(ctx, container, true);
}

/** `Force` speaks of an endpoint whose container is gone; there are none of those here. */
function findContainer(ctx: EngineContext, config: NetworkDisconnectConfig): Container {
  try {
    return ctx.containers.resolve(config.Container!);
  } catch (error) {
    if (!config.Force || !isKind(error, 'not-found')) throw error;
    throw new EngineError('not-found', `endpoint ${config.Container} not found`, { cause: error });
  }
}
