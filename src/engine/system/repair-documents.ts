import { isKind } from '#errdefs';
import { type Digest, maxManifestBytes } from '#oci';
import { fullName, parseReference, type Reference, withDigest } from '#reference';
import { readAll } from '#streams';
import type { EngineContext } from '../context.ts';
import type { RepairSource, Waiting } from './repair-layers.ts';

/** Manifests and configs, from where the images that need them came from. */
export function documentSources(ctx: EngineContext, digest: Digest): RepairSource[] {
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
