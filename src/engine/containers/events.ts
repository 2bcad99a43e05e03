import type { EngineContext } from '../context.ts';
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

/** Of a container that has just been put on its network, if it has one of its own. */
export function emitNetworkConnect(ctx: EngineContext, container: Container): void {
  const networkID = container.body.endpoint?.networkID;
  const network = ctx.networks.list().find((candidate) => candidate.id === networkID);
  if (!network) return;
  const attributes = { container: container.id, name: network.name, type: network.driver };
  ctx.events.emit({ type: 'network', action: 'connect', id: network.id, attributes });
}
