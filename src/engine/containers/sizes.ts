import type { EngineContext } from '../context.ts';
import type { Container } from './container.ts';

/** Bytes of the layers a container stands on, also when its image is gone. */
export function imageSizeBytes(ctx: EngineContext, container: Container): number {
  return container.body.chain.reduce((sum, layer) => sum + (ctx.metadata.layers.get(layer)?.sizeBytes ?? 0), 0);
}
