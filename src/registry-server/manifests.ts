import { messageOf } from '#errdefs';
import {
  type Descriptor,
  type Digest,
  digestAlgorithm,
  digestOf,
  isDigest,
  isForeignLayer,
  maxManifestBytes,
  mediaTypes,
  parseTarget,
  type Target,
} from '#oci';
import { isTag } from '#reference';
import { ApiError } from './api-error.ts';
import type { Stores } from './blobs.ts';
import { type Exchange, requireDigest, sendEmpty, sendJson, sendStream } from './exchange.ts';

/** distribution-spec v1.1 §pulling-manifests. */
export async function readManifest(stores: Stores, exchange: Exchange, name: string, reference: string): Promise<void> {
  const digest = isDigest(reference) ? reference : await stores.meta.tag(name, reference);
  const manifest = digest ? await stores.meta.manifest(name, digest) : undefined;
  const sizeBytes = manifest ? await stores.blobs.stat(manifest.digest) : undefined;
  if (!manifest || sizeBytes === undefined) throw await unknownManifest(stores, name, reference);
  const headers = {
    'Content-Type': manifest.mediaType,
    'Content-Length': sizeBytes,
    'Docker-Content-Digest': manifest.digest,
    ETag: `"${manifest.digest}"`,
  };
  if (exchange.request.headers['if-none-match'] === headers.ETag) {
    exchange.response.writeHead(304, { ETag: headers.ETag }).end();
  } else if (exchange.request.method === 'HEAD') {
    sendEmpty(exchange, 200, headers);
  } else {
    await sendStream(exchange, 200, headers, stores.blobs.open(manifest.digest));
  }
}

async function unknownManifest(stores: Stores, name: string, reference: string): Promise<ApiError> {
  if (!(await stores.meta.hasRepository(name))) {
    return new ApiError('NAME_UNKNOWN', 'repository name not known to registry', { detail: { name } });
  }
  return new ApiError('MANIFEST_UNKNOWN', 'manifest unknown', { detail: { reference } });
}

/** distribution-spec v1.1 §pushing-manifests: decoded, complete in this repository, then kept byte for byte. */
export async function writeManifest(
  stores: Stores,
  exchange: Exchange,
  name: string,
  reference: string,
): Promise<void> {
  const bytes = await readBody(exchange);
  const contentType = (exchange.request.headers['content-type'] ?? '').split(';', 1)[0]!.trim();
  const target = decode(bytes, contentType);
  const digest = digestOf(bytes, isDigest(reference) ? digestAlgorithm(reference) : 'sha256');
  if (isDigest(reference) ? reference !== digest : !isTag(reference)) {
    const code = reference.includes(':') ? 'DIGEST_INVALID' : 'MANIFEST_INVALID';
    throw new ApiError(code, 'provided digest did not match uploaded content', { detail: reference });
  }
  await requireComplete(stores, name, target);
  await stores.blobs.put(digest, bytes);
  await stores.meta.linkBlob(name, digest);
  const subject = referrerOf(target, { digest, size: bytes.length });
  await stores.meta.putManifest(name, { digest, mediaType: target.mediaType }, subject);
  if (!isDigest(reference)) await stores.meta.putTag(name, reference, digest);
  sendEmpty(exchange, 201, {
    Location: `/v2/${name}/manifests/${digest}`,
    'Docker-Content-Digest': digest,
    ...(subject ? { 'OCI-Subject': subject.digest } : {}),
  });
}

/** A body that is a little too large is read to its end, so that the client hears why it was refused. */
async function readBody(exchange: Exchange): Promise<Buffer> {
  const kept: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const chunk of exchange.request as AsyncIterable<Uint8Array>) {
    sizeBytes += chunk.byteLength;
    if (sizeBytes <= maxManifestBytes) kept.push(chunk);
    else if (sizeBytes > 4 * maxManifestBytes) break;
  }
  if (sizeBytes > maxManifestBytes) {
    throw new ApiError('SIZE_INVALID', `manifest is larger than ${maxManifestBytes} bytes`, { status: 413 });
  }
  return Buffer.concat(kept, sizeBytes);
}

function decode(bytes: Buffer, contentType: string): Target {
  try {
    return parseTarget(bytes, contentType);
  } catch (error) {
    throw new ApiError('MANIFEST_INVALID', 'manifest invalid', { detail: messageOf(error) });
  }
}

/** A manifest may only name what this repository has; layers that live elsewhere by nature are excepted. */
async function requireComplete(stores: Stores, name: string, target: Target): Promise<void> {
  const missing: Digest[] = [];
  if (target.kind === 'index') {
    for (const { digest } of target.index.manifests) {
      if (!(await stores.meta.manifest(name, digest))) missing.push(digest);
    }
  } else {
    const { config, layers } = target.manifest;
    for (const { digest, mediaType } of [config, ...layers]) {
      if (!isForeignLayer(mediaType) && !(await stores.meta.hasBlob(name, digest))) missing.push(digest);
    }
  }
  if (missing.length > 0) {
    throw new ApiError('MANIFEST_BLOB_UNKNOWN', 'blob unknown to registry', { detail: { digest: missing[0] } });
  }
}

function referrerOf(
  target: Target,
  stored: { digest: Digest; size: number },
): { digest: Digest; referrer: Descriptor } | undefined {
  const document = target.kind === 'index' ? target.index : target.manifest;
  if (!document.subject) return undefined;
  const artifactType =
    document.artifactType ?? (target.kind === 'manifest' ? target.manifest.config.mediaType : undefined);
  return {
    digest: document.subject.digest,
    referrer: {
      mediaType: target.mediaType,
      ...stored,
      ...(artifactType ? { artifactType } : {}),
      ...(document.annotations ? { annotations: document.annotations } : {}),
    },
  };
}

/** distribution-spec v1.1 §deleting-tags and §deleting-manifests. */
export async function deleteManifest(
  stores: Stores,
  exchange: Exchange,
  name: string,
  reference: string,
): Promise<void> {
  const removed = isDigest(reference)
    ? await stores.meta.removeManifest(name, reference)
    : await stores.meta.removeTag(name, reference);
  if (!removed) throw await unknownManifest(stores, name, reference);
  sendEmpty(exchange, 202);
}

/** distribution-spec v1.1 §listing-referrers: always an index, empty when there are none. */
export async function listReferrers(stores: Stores, exchange: Exchange, name: string, subject: string): Promise<void> {
  const wanted = exchange.url.searchParams.get('artifactType');
  const all = await stores.meta.referrers(name, requireDigest(subject));
  const manifests = wanted === null ? all : all.filter(({ artifactType }) => artifactType === wanted);
  const index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests };
  sendJson(exchange, 200, JSON.stringify(index), {
    'Content-Type': mediaTypes.ociIndex,
    ...(wanted === null ? {} : { 'OCI-Filters-Applied': 'artifactType' }),
  });
}
