import { closeSync, constants, openSync } from 'node:fs';
import type { EngineContext } from '../context.ts';
import { idsOf, remapOf } from '../remap/index.ts';
import type { Container } from './container.ts';
import { emitContainer } from './events.ts';
import { TreeTar } from './tree-tar.ts';

/**
 * `GET /containers/{id}/export`: the whole file system as a tar; volumes are not part of it. With `lend`, a chunk holds until the next is asked for.
 * @throws `not-found` at once.
 */
export function exportContainer(
  ctx: EngineContext,
  reference: string,
  options: { lend?: boolean; signal?: AbortSignal | undefined } = {},
): AsyncIterable<Uint8Array> {
  const container = ctx.containers.resolve(reference);
  emitContainer(ctx, container, 'export');
  return exportSnapshot(ctx, container, options);
}

async function* exportSnapshot(
  ctx: EngineContext,
  container: Container,
  { lend, signal }: { lend?: boolean; signal?: AbortSignal | undefined },
): AsyncGenerator<Uint8Array> {
  const key = container.id;
  const ids = idsOf(ctx, container);
  const remap = remapOf(ctx, container.body.hostConfig);
  const { root } = await ctx.snapshots.mount(key, remap);
  const fd = openSync(root, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    for await (const chunk of new TreeTar(fd, { ids, lend }).packChildren('/')) {
      signal?.throwIfAborted();
      yield chunk;
    }
  } finally {
    closeSync(fd);
    await ctx.snapshots.unmount(key);
  }
}
