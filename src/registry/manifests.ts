import { EngineError } from '#errdefs';
import {
  type Descriptor,
  type Digest,
  digestAlgorithm,
  digestOf,
  isDigest,
  manifestMediaTypes,
  maxManifestBytes,
  parseTarget,
} from '#oci';
import type { Reference } from '#reference';
import { RegistryError } from './errors.ts';
import type { Host } from './hosts.ts';
import { deleteScope, pullScope, pushScope } from './scopes.ts';
import type { Session } from './session.ts';
import type { HttpAnswer } from './transport.ts';
import type { CallOptions, ManifestAnswer } from './types.ts';

const accept = manifestMediaTypes.join(', ');

/** distribution-spec v1.1 §pulling-manifests. Bounded and verified. */
export async function getManifest(
  session: Session,
  host: Host,
  reference: Reference,
  options: CallOptions,
): Promise<ManifestAnswer> {
  const answer = await session.call(host, {
    ...options,
    method: 'GET',
    target: manifestPath(reference),
    scopes: [pullScope(reference)],
    headers: { accept },
    expect: [200],
  });
  const bytes = await answer.bytes(maxManifestBytes, 'manifest');
  const digest = verifiedDigest(reference, answer, bytes);
  const { mediaType } = parseTarget(bytes, mediaTypeOf(answer));
  return { descriptor: { mediaType, digest, size: bytes.length }, bytes };
}

/** What was asked for by digest, or what the registry says it sends, is what must come. */
function verifiedDigest(reference: Reference, answer: HttpAnswer, bytes: Buffer): Digest {
  const told = answer.header('docker-content-digest');
  const wanted = reference.digest ?? (told !== undefined && isDigest(told) ? told : undefined);
  const actual = digestOf(bytes, wanted ? digestAlgorithm(wanted) : 'sha256');
  if (wanted && wanted !== actual) {
    throw new EngineError('data-loss', `manifest verification failed for digest ${wanted}`);
  }
  return actual;
}

/** HEAD costs no rate limit; a server that does not answer it fully is asked with GET, which also carries the error's text. */
export async function resolveManifest(
  session: Session,
  host: Host,
  reference: Reference,
  options: CallOptions,
): Promise<Descriptor> {
  const answer = await session.call(host, {
    ...options,
    method: 'HEAD',
    target: manifestPath(reference),
    scopes: [pullScope(reference)],
    headers: { accept },
    expect: [200, 400, 401, 403, 404, 405, 501],
  });
  await answer.discard();
  const digest = answer.header('docker-content-digest') ?? '';
  const sizeBytes = Number(answer.header('content-length') ?? Number.NaN);
  const mediaType = mediaTypeOf(answer);
  const isComplete =
    answer.status === 200 &&
    isDigest(digest) &&
    Number.isSafeInteger(sizeBytes) &&
    manifestMediaTypes.includes(mediaType);
  if (!isComplete || (reference.digest && reference.digest !== digest)) {
    return (await getManifest(session, host, reference, options)).descriptor;
  }
  return { mediaType, digest, size: sizeBytes };
}

/** distribution-spec v1.1 §pushing-manifests. Under the tag when there is one, else under its digest. */
export async function putManifest(
  session: Session,
  host: Host,
  reference: Reference,
  manifest: { mediaType: string; bytes: Uint8Array },
  options: CallOptions,
): Promise<Digest> {
  const digest = digestOf(manifest.bytes, reference.digest ? digestAlgorithm(reference.digest) : 'sha256');
  if (reference.digest && reference.digest !== digest) {
    throw new EngineError('invalid-argument', `push manifest: its digest is ${digest}, not ${reference.digest}`);
  }
  const answer = await session.call(host, {
    ...options,
    method: 'PUT',
    target: `/v2/${reference.path}/manifests/${reference.tag ?? digest}`,
    scopes: [pushScope(reference)],
    headers: { 'content-type': manifest.mediaType },
    body: manifest.bytes,
    expect: [200, 201, 202],
  });
  await answer.discard();
  const told = answer.header('docker-content-digest');
  if (told !== undefined && isDigest(told) && digestAlgorithm(told) === digestAlgorithm(digest) && told !== digest) {
    throw new RegistryError('data-loss', `push manifest: the registry stored ${told}, not ${digest}`, {
      status: answer.status,
    });
  }
  return digest;
}

/** distribution-spec v1.1 §deleting-tags and §deleting-manifests: a reference with a digest names the manifest, else its tag. */
export async function deleteManifest(
  session: Session,
  host: Host,
  reference: Reference,
  options: CallOptions,
): Promise<void> {
  const answer = await session.call(host, {
    ...options,
    method: 'DELETE',
    target: manifestPath(reference),
    scopes: [deleteScope(reference)],
    expect: [200, 202, 204],
  });
  await answer.discard();
}

/** A reference with both is asked for by digest. */
function manifestPath(reference: Reference): string {
  return `/v2/${reference.path}/manifests/${reference.digest ?? reference.tag ?? 'latest'}`;
}

function mediaTypeOf(answer: HttpAnswer): string {
  return (answer.header('content-type') ?? '').split(';', 1)[0]!.trim();
}
