import { EngineError } from '#errdefs';
import type { Digest } from '#oci';
import { familiarString, type Reference, withTag } from '#reference';
import { RegistryError } from '#registry';
import { listTags } from './tags.ts';
import type { RemoteCall } from './types.ts';

/** How registries say that tags are not theirs to delete: not at all, or only by digest. */
const noTagDeletes: ReadonlySet<number> = new Set([400, 404, 405, 501]);

export interface DeletedImage {
  readonly digest: Digest;
  /** Names that are gone. */
  readonly tags: readonly string[];
  /** Only the name went; the manifest is still there by its digest. */
  readonly isUntagged: boolean;
}

/**
 * Deletes a tag, or a manifest by its digest. Where a registry deletes manifests only, a tag that shares its manifest with others is refused unless
 * `allTags` says that they may go with it.
 * @throws `conflict` naming the other tags; `not-found`; RegistryError.
 */
export async function deleteRemote(
  call: RemoteCall,
  reference: Reference,
  options: { allTags?: boolean } = {},
): Promise<DeletedImage> {
  if (reference.digest) {
    await call.registry.deleteManifest(reference, call).catch(explain);
    return { digest: reference.digest, tags: [], isUntagged: false };
  }
  const { digest } = await call.registry.resolve(reference, { ...call, access: 'push' });
  const tag = reference.tag ?? 'latest';
  if (await deletesTag(call, withTag(reference, tag))) return { digest, tags: [tag], isUntagged: true };
  const tags = await listTags(call, reference, { digests: true });
  const others = tags.flatMap((known) => (known.digest === digest && known.tag !== tag ? [known.tag] : []));
  if (others.length > 0 && !options.allTags) {
    const names = others.slice(0, 5).join(', ') + (others.length > 5 ? ` and ${others.length - 5} more` : '');
    throw new EngineError(
      'conflict',
      `delete ${familiarString(reference)}: the registry deletes images, not tags, and this one is also ${names}; --all-tags deletes them together`,
    );
  }
  const { domain, path } = reference;
  await call.registry.deleteManifest({ domain, path, digest }, call).catch(explain);
  return { digest, tags: [tag, ...others], isUntagged: false };
}

async function deletesTag(call: RemoteCall, reference: Reference): Promise<boolean> {
  try {
    await call.registry.deleteManifest(reference, call);
    return true;
  } catch (error) {
    if (error instanceof RegistryError && error.status !== undefined && noTagDeletes.has(error.status)) return false;
    throw error;
  }
}

/** A registry whose owner did not turn deletes on answers 405. */
function explain(error: unknown): never {
  if (!(error instanceof RegistryError) || error.status !== 405) throw error;
  throw new EngineError('permission-denied', `the registry does not allow deletes: ${error.message}`, { cause: error });
}
