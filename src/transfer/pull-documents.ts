import { EngineError } from '#errdefs';
import { readDocument, requireLinux, requireSameLength } from '#image';
import type { Lease } from '#metadata';
import {
  choosePlatform,
  type Descriptor,
  type Digest,
  digestAlgorithm,
  digestOf,
  formatPlatform,
  type ImageConfig,
  type Index,
  isIndex,
  type Manifest,
  maxConfigBytes,
  maxManifestBytes,
  type Platform,
  parseConfig,
  parseTarget,
  type Target,
} from '#oci';
import type { Reference } from '#reference';
import { type RegistryAuth, resumable } from '#registry';
import { readAll } from '#streams';
import { attemptsOf } from './pull-source.ts';
import type { TransferStores } from './types.ts';

/** Indexes within indexes: real ones go two deep. */
const maxDepth = 4;

/** Config media types dockerd takes for an image; registries of old said the last three. */
const configTypes: ReadonlySet<string> = new Set([
  'application/vnd.docker.container.image.v1+json',
  'application/vnd.oci.image.config.v1+json',
  'application/octet-stream',
  'text/html',
  '',
]);

/** What a pull asks the registry with. */
export interface PullCall {
  readonly stores: TransferStores;
  readonly reference: Reference;
  readonly lease: Lease;
  readonly auth: RegistryAuth | undefined;
  readonly signal: AbortSignal | undefined;
  /** Pauses that concern the whole pull, not one layer. */
  readonly onRetry: (delayMs: number, why: Error) => void;
}

/** The documents of the image chosen; all are in the content store, byte for byte. */
export interface PulledDocuments {
  readonly target: Descriptor;
  readonly index?: Index;
  readonly manifestDescriptor: Descriptor;
  readonly manifest: Manifest;
  /** Everything kept: the target, indexes on the way, the manifest. */
  readonly kept: readonly Digest[];
}

/** The reference's target. A HEAD costs no rate limit, and what is here already is not fetched again. */
export async function fetchTarget(call: PullCall): Promise<{ descriptor: Descriptor; document: Target }> {
  const { stores, reference, auth, signal, onRetry } = call;
  const resolved = await stores.registry.resolve(reference, { auth, signal, onRetry });
  return await fetchDocument(call, resolved);
}

/** A manifest or index, kept; one that is here is not asked for. */
export async function fetchDocument(
  call: PullCall,
  descriptor: Descriptor,
): Promise<{ descriptor: Descriptor; document: Target }> {
  const { stores, reference, auth, signal, lease, onRetry } = call;
  await lease.add(descriptor.digest);
  if (await stores.content.stat(descriptor.digest)) {
    const bytes = await readDocument(stores.content, descriptor.digest, maxManifestBytes, 'manifest');
    return { descriptor, document: parseTarget(bytes, descriptor.mediaType || undefined) };
  }
  const { domain, path } = reference;
  const answer = await stores.registry.manifest({ domain, path, digest: descriptor.digest }, { auth, signal, onRetry });
  const document = parseTarget(answer.bytes, answer.descriptor.mediaType);
  await stores.content.put(answer.bytes, descriptor.digest);
  return { descriptor: { ...answer.descriptor, digest: descriptor.digest }, document };
}

/** Goes down from the target to the manifest that runs on the platform. @throws `not-found` in Docker's words. */
export async function fetchManifest(
  call: PullCall,
  top: { descriptor: Descriptor; document: Target },
  platform: Platform,
): Promise<PulledDocuments> {
  const kept: Digest[] = [top.descriptor.digest];
  let { descriptor, document } = top;
  for (let depth = 0; document.kind === 'index'; depth++) {
    const chosen = choosePlatform(document.index.manifests, platform);
    if (!chosen) throw noMatch(platform);
    if (depth === maxDepth) {
      throw new EngineError(
        'invalid-argument',
        `pull ${top.descriptor.digest}: indexes nested deeper than ${maxDepth}`,
      );
    }
    ({ descriptor, document } = await fetchDocument(call, chosen));
    if (isIndex(chosen.mediaType) !== (document.kind === 'index')) {
      throw new EngineError(
        'invalid-argument',
        `pull ${chosen.digest}: it is not the ${chosen.mediaType} its index says`,
      );
    }
    kept.push(descriptor.digest);
  }
  const index = top.document.kind === 'index' ? { index: top.document.index } : {};
  return { target: top.descriptor, ...index, manifestDescriptor: descriptor, manifest: document.manifest, kept };
}

function noMatch(platform: Platform): EngineError {
  return new EngineError(
    'not-found',
    `no matching manifest for ${formatPlatform(platform)} in the manifest list entries`,
  );
}

/** The image's config, verified and kept. @throws `invalid-argument` for what is no image, or for a system that is not Linux and was not asked for. */
export async function fetchConfig(
  call: PullCall,
  manifest: Manifest,
  wanted: Platform | undefined,
): Promise<ImageConfig> {
  const { digest, mediaType, size } = manifest.config;
  if (!configTypes.has(mediaType)) {
    throw new EngineError('invalid-argument', `unsupported media type ${mediaType}`);
  }
  await call.lease.add(digest);
  const config = parseConfig(await configBytes(call, digest, size));
  requireSameLength(manifest.layers.length, config.rootfs.diff_ids.length);
  if (config.os !== wanted?.os) requireLinux(config);
  return config;
}

async function configBytes(call: PullCall, digest: Digest, sizeBytes: number): Promise<Buffer> {
  const { content } = call.stores;
  if (await content.stat(digest)) return await readDocument(content, digest, maxConfigBytes, 'image config');
  if (sizeBytes > maxConfigBytes) {
    throw new EngineError('invalid-argument', `pull image config ${digest}: larger than ${maxConfigBytes} bytes`);
  }
  return await fetchBlob(call, { digest, sizeBytes, what: 'image config' });
}

/** A blob that is held in memory on its way, verified and kept; the caller has looked at its size. */
export async function fetchBlob(
  call: PullCall,
  { digest, sizeBytes, what }: { readonly digest: Digest; readonly sizeBytes: number; readonly what: string },
): Promise<Buffer> {
  const { auth, signal, onRetry } = call;
  const { content, registry } = call.stores;
  const source = resumable((offset) => registry.blob(call.reference, digest, { auth, signal, offset, onRetry }), {
    what: `fetch ${what} ${digest}`,
    sizeBytes,
    signal,
    ...attemptsOf(call.stores),
  });
  const bytes = await readAll(source, sizeBytes, `${what} ${digest}`);
  if (digestOf(bytes, digestAlgorithm(digest)) !== digest) {
    throw new EngineError('data-loss', `${what} verification failed for digest ${digest}`);
  }
  await content.put(bytes, digest);
  return bytes;
}
