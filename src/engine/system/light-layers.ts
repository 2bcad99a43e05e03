import { isKind } from '#errdefs';
import { type HeavyLayer, keepShared, type LightLayer, type UsageLayer, walkInThread } from '#image-files';
import { log } from '#log';
import type { DiffID } from '#oci';
import type { EngineContext } from '../context.ts';
import { usageLayer } from './file-usage.ts';

/** Leaves out of the files of layers what the files of others hold already; those that were looked at before stay as they are. */
export async function lightenLayers(ctx: EngineContext, signal: AbortSignal): Promise<void> {
  const { layers, layerSources } = ctx.metadata;
  const done = layerSources.done();
  const dying = new Set(layerSources.keptForOthers());
  const known = [...layers.list()].sort((one, other) => one.createdMs - other.createdMs);
  const heavy = known.filter(({ diffID }) => !done.has(diffID));
  if (heavy.length === 0) return;
  const donors = known.filter(({ diffID }) => done.has(diffID) && !dying.has(diffID));
  await using staged = new AsyncDisposableStack();
  const wanted = new Map<string, HeavyLayer>();
  for (const { diffID } of heavy) {
    const file = staged.use(await ctx.content.stage());
    wanted.set(diffID, { ...usageLayer(ctx, diffID), staged: file.path });
  }
  const job = {
    kind: 'lighten',
    layers: [...wanted.values()],
    donors: donors.map(({ diffID }): UsageLayer => usageLayer(ctx, diffID)),
  } as const;
  for await (const light of walkInThread<LightLayer>(job, { signal })) {
    if (light.differing) log.warn('files of one digest differ: run wherryd verify', { layer: light.diffID });
    else await place(ctx, light, wanted.get(light.diffID)!);
  }
}

/** Each step leaves the layer readable: those that it reads from are kept before a recipe names them. */
async function place(
  ctx: EngineContext,
  { diffID, recipe, sources, sharedBytes }: LightLayer,
  layer: HeavyLayer,
): Promise<void> {
  const { metadata, content, snapshots } = ctx;
  await using lease = await metadata.lease();
  await lease.add(diffID, ...sources);
  if (!metadata.layers.get(diffID)) return;
  try {
    if (recipe) {
      await metadata.layerSources.put(diffID, sources);
      await content.lighten(diffID, layer.staged, recipe);
      await snapshots.letGo(diffID);
      log.info('files shared', { layer: diffID, sharedBytes });
    }
    await metadata.layerSources.markDone(diffID);
    keepShared(layer, sharedBytes);
  } catch (error) {
    // A layer that it reads from has gone meanwhile: another pass finds other ones.
    if (!isKind(error, 'failed-precondition') && !isKind(error, 'not-found')) throw error;
  }
}

/** Gives back to layers what they read of others that are there for nothing else any more, which then go. */
export async function refillLayers(ctx: EngineContext, signal: AbortSignal): Promise<void> {
  const { metadata } = ctx;
  const dying = metadata.layerSources.keptForOthers();
  const readers = new Map<DiffID, DiffID[]>();
  for (const source of dying) {
    for (const reader of metadata.layerSources.readersOf(source))
      readers.set(reader, [...(readers.get(reader) ?? []), source]);
  }
  for (const [reader, sources] of readers) await refill(ctx, { reader, sources }, signal);
  if (readers.size > 0) await metadata.collect({ signal });
}

async function refill(
  ctx: EngineContext,
  { reader, sources }: { reader: DiffID; sources: readonly DiffID[] },
  signal: AbortSignal,
): Promise<void> {
  const { metadata, content, snapshots } = ctx;
  await using lease = await metadata.lease();
  await lease.add(reader, ...sources);
  if (!metadata.layers.get(reader)) return;
  await using staged = await content.stage();
  const layer = { tar: content.path(reader), staged: staged.path };
  const job = { kind: 'refill', layer, without: sources } as const;
  const [whole] = await Array.fromAsync(walkInThread<{ recipe: Uint8Array | undefined }>(job, { signal }));
  await content.refill(reader, staged.path, whole!.recipe);
  await metadata.layerSources.release(reader, sources);
  await snapshots.letGo(reader);
  log.info('files given back', { layer: reader, sources: sources.length });
}
