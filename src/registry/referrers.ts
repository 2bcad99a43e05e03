import { isKind } from '#errdefs';
import { type Descriptor, type Digest, maxManifestBytes, parseIndex } from '#oci';
import type { Reference } from '#reference';
import { RegistryError } from './errors.ts';
import type { Host } from './hosts.ts';
import { getManifest } from './manifests.ts';
import { pullScope } from './scopes.ts';
import type { Session } from './session.ts';
import { nextPage } from './tags.ts';
import type { CallOptions } from './types.ts';

/** More than anybody signs an image. */
const maxPages = 100;

/**
 * distribution-spec v1.1 §listing-referrers, page by page; of a registry without that API the tag that clients keep in its place (§unavailable-referrers-api).
 * What has none has an empty list.
 */
export async function listReferrers(
  session: Session,
  host: Host,
  reference: Reference,
  digest: Digest,
  options: CallOptions,
): Promise<readonly Descriptor[]> {
  const found: Descriptor[] = [];
  let target: string | URL | undefined = `/v2/${reference.path}/referrers/${digest}`;
  for (let page = 0; target !== undefined; page++) {
    if (page === maxPages)
      throw new RegistryError('unknown', `list referrers of ${digest}: more than ${maxPages} pages`);
    const answer = await session.call(host, {
      ...options,
      method: 'GET',
      target,
      scopes: [pullScope(reference)],
      expect: [200, 404],
    });
    if (answer.status === 404) {
      await answer.discard();
      return await byTag(session, host, reference, digest, options);
    }
    found.push(...parseIndex(await answer.bytes(maxManifestBytes, 'list of referrers')).manifests);
    target = nextPage(answer.header('link'), answer.url);
  }
  return found;
}

async function byTag(
  session: Session,
  host: Host,
  { domain, path }: Reference,
  digest: Digest,
  options: CallOptions,
): Promise<readonly Descriptor[]> {
  const tag = digest.replace(':', '-').slice(0, 128);
  try {
    return parseIndex((await getManifest(session, host, { domain, path, tag }, options)).bytes).manifests;
  } catch (error) {
    if (isKind(error, 'not-found')) return [];
    throw error;
  }
}
