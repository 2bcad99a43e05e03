import { Semaphore } from '#concurrency';
import type { Digest } from '#oci';
import { type Reference, withTag } from '#reference';
import type { RemoteCall } from './types.ts';

const parallelReads = 8;

export interface RemoteTag {
  readonly tag: string;
  readonly digest?: Digest;
}

/** The tags of a repository in the registry's order; with `digests`, each asked for what it points to. */
export async function listTags(
  call: RemoteCall,
  reference: Reference,
  options: { digests?: boolean } = {},
): Promise<readonly RemoteTag[]> {
  const tags = await Array.fromAsync(call.registry.tags(reference, call));
  if (!options.digests) return tags.map((tag) => ({ tag }));
  const places = new Semaphore(parallelReads);
  return await Promise.all(
    tags.map(async (tag) => {
      using _ = await places.acquire({ signal: call.signal });
      return { tag, digest: (await call.registry.resolve(withTag(reference, tag), call)).digest };
    }),
  );
}
