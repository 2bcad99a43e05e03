import { isKind } from '#errdefs';
import { type Digest, digestAlgorithm, digestOf, isDigest, mediaTypes } from '#oci';
import { isTag } from '#reference';
import { ApiError } from './api-error.ts';
import { type Exchange, isUnchanged, requireDigest, sendBytes, sendEmpty, sendJson } from './exchange.ts';
import { describeByManifest } from './hub/describe.ts';
import { newManifest } from './manifest-document.ts';
import type { Registry } from './registry.ts';
import type { NewManifest, StoredManifest } from './store/meta-store.ts';

/** distribution-spec v1.1 §pushing-manifests: as many tags in one request as any client needs. */
const maxTagParameters = 100;

/** distribution-spec v1.1 §pulling-manifests. */
export async function readManifest(
  registry: Registry,
  exchange: Exchange,
  name: string,
  reference: string,
): Promise<void> {
  const manifest = await findManifest(registry, exchange, name, reference);
  if (!manifest) throw await unknownManifest(registry, name, reference);
  if (exchange.request.method === 'GET') registry.pulls.add(name, manifest.digest);
  await sendManifest(registry, exchange, manifest);
}

async function findManifest(
  { meta, upstreams }: Registry,
  exchange: Exchange,
  name: string,
  reference: string,
): Promise<StoredManifest | undefined> {
  const upstream = upstreams?.upstreamOf(name);
  if (!upstreams || !upstream) {
    const digest = isDigest(reference) ? reference : (await meta.tag(name, reference))?.digest;
    return digest ? await meta.manifest(name, digest) : undefined;
  }
  if (!isDigest(reference) && !isTag(reference)) return undefined;
  const found = await upstreams.manifest(name, upstream, reference);
  if (found?.isStale) exchange.response.setHeader('Warning', '110 - "Response is Stale"');
  return found?.manifest;
}

async function sendManifest(
  registry: Registry,
  exchange: Exchange,
  { digest, mediaType, sizeBytes }: StoredManifest,
): Promise<void> {
  const headers = {
    'Content-Type': mediaType,
    'Content-Length': sizeBytes,
    'Docker-Content-Digest': digest,
    ETag: `"${digest}"`,
  };
  if (isUnchanged(exchange, headers.ETag)) {
    exchange.response.writeHead(304, { 'Docker-Content-Digest': digest, ETag: headers.ETag }).end();
    return;
  }
  if (exchange.request.method === 'HEAD') return sendEmpty(exchange, 200, headers);
  const bytes = await registry.meta.manifestBytes(digest);
  if (!bytes) throw new ApiError('MANIFEST_UNKNOWN', 'manifest unknown', { detail: { digest } });
  sendBytes(exchange, 200, bytes, headers);
}

async function unknownManifest({ meta }: Registry, name: string, reference: string): Promise<ApiError> {
  if (!(await meta.hasRepository(name))) {
    return new ApiError('NAME_UNKNOWN', 'repository name not known to registry', { detail: { name } });
  }
  return new ApiError('MANIFEST_UNKNOWN', 'manifest unknown', { detail: { reference } });
}

/** distribution-spec v1.1 §pushing-manifests: decoded, complete in this repository, then kept byte for byte. */
export async function writeManifest(
  registry: Registry,
  exchange: Exchange,
  name: string,
  reference: string,
): Promise<void> {
  const parameters = tagParameters(exchange, reference);
  const bytes = await readBody(exchange, registry.limits.maxManifestBytes);
  const digest = digestOf(bytes, isDigest(reference) ? digestAlgorithm(reference) : 'sha256');
  if (!isDigest(reference) && !isTag(reference) && !reference.includes(':')) throw invalidTag(reference);
  if (!isTag(reference) && reference !== digest) {
    throw new ApiError('DIGEST_INVALID', 'provided digest did not match uploaded content', { detail: reference });
  }
  const contentType = (exchange.request.headers['content-type'] ?? '').split(';', 1)[0]!.trim();
  const tags = isDigest(reference) ? parameters : [reference];
  const manifest = newManifest(bytes, contentType, { digest, tags });
  await store(registry, name, manifest);
  registry.claims.settle(name, manifest.blobs);
  await describeByManifest(registry, name, manifest);
  const { mediaType } = manifest;
  exchange.facts.event = { kind: 'manifest-pushed', repository: name, digest, mediaType, tags };
  sendEmpty(exchange, 201, {
    Location: `/v2/${name}/manifests/${digest}`,
    'Docker-Content-Digest': digest,
    ...(manifest.subject ? { 'OCI-Subject': manifest.subject.digest } : {}),
    ...(parameters.length > 0 ? { 'OCI-Tag': parameters.join(', ') } : {}),
  });
}

/** `?tag=1&tag=latest` of a push by digest. */
function tagParameters({ url }: Exchange, reference: string): readonly string[] {
  if (!isDigest(reference)) return [];
  const tags = [...new Set(url.searchParams.getAll('tag'))];
  if (tags.length > maxTagParameters) {
    throw new ApiError('MANIFEST_INVALID', `more than ${maxTagParameters} tags in one request`, { status: 414 });
  }
  const wrong = tags.find((tag) => !isTag(tag));
  if (wrong !== undefined) throw invalidTag(wrong);
  return tags;
}

function invalidTag(tag: string): ApiError {
  return new ApiError('MANIFEST_INVALID', 'invalid tag', { detail: tag });
}

async function store({ meta }: Registry, name: string, manifest: NewManifest): Promise<void> {
  const missing = await meta.missing(name, manifest);
  if (missing.length > 0) throw missingParts(missing);
  try {
    await meta.putManifest(name, manifest);
  } catch (error) {
    if (!isKind(error, 'failed-precondition')) throw error;
    throw missingParts(await meta.missing(name, manifest));
  }
}

/** A manifest may only name what this repository has. */
function missingParts(missing: readonly Digest[]): ApiError {
  return new ApiError('MANIFEST_BLOB_UNKNOWN', 'blob unknown to registry', { detail: { digest: missing[0] } });
}

/** A body that is a little too large is read to its end, so that the client hears why it was refused. */
async function readBody(exchange: Exchange, maxBytes: number): Promise<Buffer> {
  const kept: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const chunk of exchange.request as AsyncIterable<Uint8Array>) {
    sizeBytes += chunk.byteLength;
    if (sizeBytes <= maxBytes) kept.push(chunk);
    else if (sizeBytes > 4 * maxBytes) break;
  }
  if (sizeBytes > maxBytes) {
    throw new ApiError('SIZE_INVALID', `manifest is larger than ${maxBytes} bytes`, { status: 413 });
  }
  return Buffer.concat(kept, sizeBytes);
}

/** distribution-spec v1.1 §deleting-tags and §deleting-manifests. */
export async function deleteManifest(
  registry: Registry,
  exchange: Exchange,
  name: string,
  reference: string,
): Promise<void> {
  const removed = isDigest(reference)
    ? await registry.meta.removeManifest(name, reference)
    : await registry.meta.removeTag(name, reference);
  if (!removed) throw await unknownManifest(registry, name, reference);
  exchange.facts.event = isDigest(reference)
    ? { kind: 'manifest-deleted', repository: name, digest: reference }
    : { kind: 'tag-deleted', repository: name, tags: [reference] };
  sendEmpty(exchange, 202);
}

/** distribution-spec v1.1 §listing-referrers: always an index, empty when there are none. */
export async function listReferrers(
  { meta, upstreams }: Registry,
  exchange: Exchange,
  name: string,
  subject: string,
): Promise<void> {
  const wanted = exchange.url.searchParams.get('artifactType');
  const digest = requireDigest(subject);
  const upstream = upstreams?.upstreamOf(name);
  const all = upstream ? await upstreams!.referrers(name, upstream, digest) : await meta.referrers(name, digest);
  const manifests = wanted === null ? all : all.filter(({ artifactType }) => artifactType === wanted);
  const index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests };
  sendJson(exchange, 200, JSON.stringify(index), {
    'Content-Type': mediaTypes.ociIndex,
    ...(wanted === null ? {} : { 'OCI-Filters-Applied': 'artifactType' }),
  });
}
