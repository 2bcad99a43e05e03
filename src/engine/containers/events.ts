import type { EngineContext } from '../context.ts';
import { inOrder } from './attachments.ts';
import type { Container } from './container.ts';

/** A container event with what Docker attaches to each: image, name and labels. */
export function emitContainer(
  ctx: EngineContext,
  container: Container,
  action: string,
  attributes: Readonly<Record<string, string>> = {},
): void {
  ctx.events.emit({
    type: 'container',
    action,
    id: container.id,
    attributes: { ...container.body.config.Labels, ...attributes, image: container.body.image, name: container.name },
  });
}

/** A volume of a container that starts is in use from here on. */
export function emitVolumeMounts(ctx: EngineContext, container: Container): void {
  for (const mount of container.body.mounts) {
    if (mount.kind !== 'volume') continue;
    const { destination, readOnly } = mount;
    const attributes = { container: container.id, destination, driver: 'local', propagation: '' };
    ctx.events.emit({
      type: 'volume',
      action: 'mount',
      id: mount.name,
      attributes: { ...attributes, 'read/write': String(!readOnly) },
    });
  }
}

export function emitVolumeUnmounts(ctx: EngineContext, container: Container): void {
  for (const mount of container.body.mounts) {
    if (mount.kind !== 'volume') continue;
    const attributes = { container: container.id, driver: 'local' };
    ctx.events.emit({ type: 'volume', action: 'unmount', id: mount.name, attributes });
  }
}

/** One event per network, in the order they were connected. */
export function emitNetworkConnects(ctx: EngineContext, container: Container): void {
  for (const [name, { endpoint }] of inOrder(container)) {
    if (endpoint) emitNetwork(ctx, container, 'connect', { id: endpoint.networkID, name });
  }
}

export function emitNetwork(
  ctx: EngineContext,
  container: Container,
  action: 'connect' | 'disconnect',
  network: { readonly id: string; readonly name: string },
): void {
  const type = ctx.networks.list().find(({ id }) => id === network.id)?.driver ?? 'bridge';
  const attributes = { container: container.id, name: network.name, type };
  ctx.events.emit({ type: 'network', action, id: network.id, attributes });
}
