import type { RepairItem } from '#api-types';
import { isKind, messageOf } from '#errdefs';
import type { LayerOrigin } from '#metadata';
import { type DiffID, type Digest, maxManifestBytes } from '#oci';
import { fullName, parseReference, type Reference, withDigest } from '#reference';
import { readAll } from '#streams';
import type { EngineContext } from '../context.ts';
import { rememberDamage } from './damage.ts';

type Waiting = { readonly signal?: AbortSignal | undefined };

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
  const tries = isLayer ? layerSources(ctx, digest as string as DiffID) : documentSources(ctx, digest);
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

interface Source {
  readonly from: string;
  readonly bring: (options: Waiting) => Promise<unknown>;
}

function layerSources(ctx: EngineContext, diffID: DiffID): Source[] {
  const origins = ctx.metadata.layers.origins(diffID).filter(({ repository }) => repository !== '');
  return origins.map((origin) => ({
    from: origin.repository,
    bring: (options) => fetchLayer(ctx, origin, options),
  }));
}

async function fetchLayer(
  ctx: EngineContext,
  { diffID, descriptor, repository }: LayerOrigin,
  { signal }: Waiting,
): Promise<void> {
  const { source } = await ctx.registry.blob(parseReference(repository), descriptor.digest, { signal });
  const expected = { digest: descriptor.digest, compressedBytes: descriptor.size, diffID };
  await ctx.layers.ingest(source, { expected, signal });
}

/** Manifests and configs, from where the images that need them came from. */
function documentSources(ctx: EngineContext, digest: Digest): Source[] {
  const users = new Set(ctx.metadata.blobs.uses().find((use) => use.digest === digest)?.images ?? []);
  const images = ctx.metadata.images.list().filter(({ id }) => users.has(id));
  const repositories = new Set(
    images.flatMap((image) => [
      ...image.repoDigests.map((name) => fullName(parseReference(name))),
      ...image.diffIDs.flatMap((diffID) => ctx.metadata.layers.origins(diffID).map(({ repository }) => repository)),
    ]),
  );
  repositories.delete('');
  return [...repositories].map((repository) => ({
    from: repository,
    bring: (options) => fetchDocument(ctx, parseReference(repository), digest, options),
  }));
}

async function fetchDocument(ctx: EngineContext, from: Reference, digest: Digest, { signal }: Waiting): Promise<void> {
  const bytes = await documentBytes(ctx, from, digest, { signal });
  await ctx.content.put(bytes, digest);
}

async function documentBytes(ctx: EngineContext, from: Reference, digest: Digest, { signal }: Waiting) {
  try {
    return (await ctx.registry.manifest(withDigest(from, digest), { signal })).bytes;
  } catch (error) {
    if (!isKind(error, 'not-found')) throw error;
    // A config is a blob to the registry.
    const { source } = await ctx.registry.blob(from, digest, { signal });
    return await readAll(source, maxManifestBytes, 'document');
  }
}
