import type { RepairItem } from '#api-types';
import { messageOf } from '#errdefs';
import type { DiffID, Digest } from '#oci';
import type { EngineContext } from '../context.ts';
import { rememberDamage } from './damage.ts';
import { documentSources } from './repair-documents.ts';
import { compressedSources, layerSources, type RepairSource, type Waiting } from './repair-layers.ts';

/**
 * Rehashes every blob, and brings what is damaged back from the registries that are known to have it; then makes indexes anew that differ from their
 * layers. One item for each thing that was damaged. Containers that run on a damaged layer have the good one from their next start on.
 */
export async function* repairStore(ctx: EngineContext, options: Waiting = {}): AsyncGenerator<RepairItem> {
  await using lease = await ctx.metadata.lease();
  for await (const { digest, fault, harm } of ctx.metadata.damagedBlobs(options)) {
    await lease.add(digest);
    yield { Subject: `blob ${digest}`, Fault: fault, Harm: harm, ...(await repairBlob(ctx, digest, options)) };
  }
  await rememberDamage(ctx);
  const layers = ctx.metadata.layers.list().map(({ diffID }) => diffID);
  for await (const fault of ctx.snapshots.verify(layers, { repair: true })) {
    const [, subject = fault, what = ''] = /^(layer \S+): (.*)$/.exec(fault) ?? [];
    const isMade = what.endsWith(madeAnew);
    const outcome = isMade ? { RepairedFrom: 'its layer' } : { Reason: 'it cannot be made anew here' };
    yield { Subject: subject, Fault: what, Harm: [], ...outcome };
  }
}

/** How a driver says so of what it has repaired. */
const madeAnew = 'made anew';

type Outcome = Pick<RepairItem, 'RepairedFrom' | 'Reason'>;

async function repairBlob(ctx: EngineContext, digest: Digest, options: Waiting): Promise<Outcome> {
  const reasons: string[] = [];
  const isLayer = ctx.metadata.layers.get(digest as string as DiffID) !== undefined;
  const tries = await sourcesOf(ctx, digest, isLayer);
  for (const { from, bring } of tries) {
    try {
      await bring(options);
      return { RepairedFrom: from };
    } catch (error) {
      options.signal?.throwIfAborted();
      reasons.push(`${from}: ${messageOf(error)}`);
    }
  }
  const advice = isLayer ? 'load an archive that has it, or build it again' : 'load an archive that has it';
  return { Reason: reasons.length > 0 ? reasons.join('; ') : `no registry is known to have it: ${advice}` };
}

async function sourcesOf(ctx: EngineContext, digest: Digest, isLayer: boolean): Promise<readonly RepairSource[]> {
  if (isLayer) return await layerSources(ctx, digest as string as DiffID);
  const layer = ctx.metadata.layers.byOrigin(digest);
  return layer ? await compressedSources(ctx, digest, layer.diffID) : documentSources(ctx, digest);
}
