import type { ContainerDocument } from '#metadata';
import type { EngineContext } from '../context.ts';
import { Container } from './container.ts';
import type { ContainerBody } from './record.ts';

/** Writes a container's body. `durable` where losing it to a power cut would lose the container itself. */
export async function saveContainer(ctx: EngineContext, container: Container, durable = false): Promise<void> {
  const document: ContainerDocument = {
    id: container.id,
    name: container.name,
    body: container.body,
    chain: container.body.chain,
    ...mountedChains(container.body),
    ...(container.body.imageID === '' ? {} : { imageID: container.body.imageID }),
  };
  await ctx.metadata.containers.put(document, { durable });
}

/** Reads every stored container into the registry. */
export function loadContainers(ctx: EngineContext): Container[] {
  return ctx.metadata.containers.list().map((document) => {
    const container = new Container(document.id, document.name, document.body as ContainerBody);
    ctx.containers.add(container);
    return container;
  });
}

function mountedChains({ mounts }: ContainerBody): Pick<ContainerDocument, 'mountedChains'> {
  const chains = mounts.flatMap((mount) => (mount.kind === 'image' ? [mount.chain] : []));
  return chains.length === 0 ? {} : { mountedChains: chains };
}
