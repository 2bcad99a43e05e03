import type { BlobInfo } from '#content';
import { compressLayer } from '#diff';
import type { LayerOrigin } from '#metadata';
import type { DiffID, Digest } from '#oci';
import { parseReference } from '#reference';
import type { ByteSource } from '#streams';
import type { EngineContext } from '../context.ts';

export type Waiting = { readonly signal?: AbortSignal | undefined };

/** Somewhere to bring damaged bytes back from. */
export interface RepairSource {
  readonly from: string;
  readonly bring: (options: Waiting) => Promise<unknown>;
}

/** A compressed form that is kept here, then the registries. */
export async function layerSources(ctx: EngineContext, diffID: DiffID): Promise<RepairSource[]> {
  const origins = ctx.metadata.layers.origins(diffID);
  const kept: RepairSource[] = [];
  for (const origin of origins) {
    const { digest } = origin.descriptor;
    if (kept.length > 0 || (digest as string) === diffID || !(await ctx.content.stat(digest))) continue;
    const bring = ({ signal }: Waiting) => ingest(ctx, origin, ctx.content.open(digest), signal);
    kept.push({ from: 'its compressed form', bring });
  }
  const remote = origins.filter(({ repository }) => repository !== '');
  return [
    ...kept,
    ...remote.map(
      (origin): RepairSource => ({ from: origin.repository, bring: (options) => fetchLayer(ctx, origin, options) }),
    ),
  ];
}

/** Of a compressed form that is kept: the layer, if it was compressed here, then the registries. */
export async function compressedSources(ctx: EngineContext, digest: Digest, diffID: DiffID): Promise<RepairSource[]> {
  const origins = ctx.metadata.layers.origins(diffID).filter(({ descriptor }) => descriptor.digest === digest);
  const write = (source: ByteSource, { signal }: Waiting) =>
    writeBlob(ctx, { digest, sizeBytes: origins[0]!.descriptor.size }, source, signal);
  const isHere = origins.some(({ repository }) => repository === '') && (await ctx.content.stat(diffID));
  const again: RepairSource = {
    from: 'its layer',
    bring: (options) => write(compressLayer(ctx.content.open(diffID)), options),
  };
  const remote = origins.filter(({ repository }) => repository !== '');
  return [
    ...(isHere ? [again] : []),
    ...remote.map(
      ({ repository }): RepairSource => ({
        from: repository,
        bring: async ({ signal }) => {
          const { source } = await ctx.registry.blob(parseReference(repository), digest, { signal });
          await write(source, { signal });
        },
      }),
    ),
  ];
}

async function writeBlob(
  ctx: EngineContext,
  expected: BlobInfo,
  source: ByteSource,
  signal: AbortSignal | undefined,
): Promise<void> {
  await using writer = await ctx.content.writer({ key: `repair ${expected.digest}`, expected, signal });
  if (writer.offset > 0) await writer.truncate();
  for await (const chunk of source) await writer.write(chunk);
  await writer.commit();
}

async function fetchLayer(ctx: EngineContext, origin: LayerOrigin, { signal }: Waiting): Promise<void> {
  const { descriptor, repository } = origin;
  const { source } = await ctx.registry.blob(parseReference(repository), descriptor.digest, { signal });
  await ingest(ctx, origin, source, signal);
}

async function ingest(
  ctx: EngineContext,
  { diffID, descriptor }: LayerOrigin,
  source: ByteSource,
  signal: AbortSignal | undefined,
): Promise<void> {
  const expected = { digest: descriptor.digest, compressedBytes: descriptor.size, diffID };
  await ctx.layers.ingest(source, { expected, signal });
}
