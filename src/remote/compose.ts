import { EngineError } from '#errdefs';
import {
  type Descriptor,
  type Digest,
  digestOf,
  formatPlatform,
  isConfig,
  isDockerMediaType,
  maxConfigBytes,
  mediaTypes,
  normalisePlatform,
  type Platform,
  parseConfig,
  parseTarget,
} from '#oci';
import { formatReference, type Reference, withDefaultTag } from '#reference';
import { readAll } from '#streams';
import type { CopyOptions } from './copy.ts';
import { copyImage } from './copy.ts';
import { registrySink, registrySource } from './registry-place.ts';
import type { RemoteCall } from './types.ts';
import { verified } from './verified.ts';

/** An entry of an index that is put together, and where its image is. */
export interface IndexPart {
  readonly descriptor: Descriptor;
  /** `host/path`, with the digest. */
  readonly from: Reference;
}

/** What an image brings to an index: itself with its config's platform, or the entries of the index that it is. */
export async function indexParts(call: RemoteCall, named: Reference): Promise<readonly IndexPart[]> {
  const reference = withDefaultTag(named);
  const { domain, path } = reference;
  const { descriptor, bytes } = await call.registry.manifest(reference, call);
  const target = parseTarget(bytes, descriptor.mediaType);
  const part = (entry: Descriptor): IndexPart => ({ descriptor: entry, from: { domain, path, digest: entry.digest } });
  if (target.kind === 'index') return target.index.manifests.map(part);
  const { config, artifactType } = target.manifest;
  if (!isConfig(config.mediaType)) return [part({ ...descriptor, artifactType: artifactType ?? config.mediaType })];
  if (config.size > maxConfigBytes)
    throw new EngineError('invalid-argument', `image config ${config.digest}: larger than ${maxConfigBytes} bytes`);
  const { source } = await call.registry.blob(reference, config.digest, call);
  const platform = platformOf(await readAll(verified(source, config), maxConfigBytes, 'image config'));
  return [part({ ...descriptor, ...(platform ? { platform } : {}) })];
}

function platformOf(bytes: Buffer): Platform | undefined {
  const config = parseConfig(bytes);
  const { os, architecture, variant } = config;
  if (!os || !architecture) return undefined;
  const version = config['os.version'];
  const features = config['os.features'];
  return {
    ...normalisePlatform({ os, architecture, ...(variant ? { variant } : {}) }),
    ...(version ? { 'os.version': version } : {}),
    ...(features?.length ? { 'os.features': features } : {}),
  };
}

/** One image per platform: a later one takes the place of an earlier one, and what was said about that goes with it. */
export function composeParts(parts: readonly IndexPart[]): readonly IndexPart[] {
  const byKey = new Map<string, IndexPart>();
  for (const part of parts) byKey.set(keyOf(part.descriptor), part);
  const kept = new Set<Digest>([...byKey.values()].map(({ descriptor }) => descriptor.digest));
  return [...byKey.values()].filter(({ descriptor }) => {
    const about = descriptor.annotations?.['vnd.docker.reference.digest'];
    return about === undefined || kept.has(about as Digest);
  });
}

function keyOf({ platform, digest }: Descriptor): string {
  if (!platform?.os || platform.os === 'unknown') return digest;
  const { 'os.version': version = '', 'os.features': features = [] } = platform;
  return [formatPlatform(platform), version, ...features].join(' ');
}

export interface ComposedIndex {
  readonly descriptor: Descriptor;
  readonly bytes: Buffer;
}

/** Of Docker's family when every image is, else OCI's. */
export function writeIndex(
  parts: readonly IndexPart[],
  annotations: Readonly<Record<string, string>> = {},
): ComposedIndex {
  const hasAnnotations = Object.keys(annotations).length > 0;
  const isDocker = !hasAnnotations && parts.every(({ descriptor }) => isDockerMediaType(descriptor.mediaType));
  const mediaType = isDocker ? mediaTypes.dockerManifestList : mediaTypes.ociIndex;
  const manifests = parts.map(({ descriptor }) => descriptor);
  const index = { schemaVersion: 2, mediaType, manifests, ...(hasAnnotations ? { annotations } : {}) };
  const bytes = Buffer.from(JSON.stringify(index, undefined, 3));
  return { descriptor: { mediaType, digest: digestOf(bytes), size: bytes.length }, bytes };
}

/**
 * Pushes an index under a name: the images that its repository lacks are copied there first, mounted or streamed through. `callFor` answers with what
 * a repository is read.
 */
export async function pushIndex(
  call: RemoteCall,
  target: Reference,
  parts: readonly IndexPart[],
  options: CopyOptions & {
    annotations?: Readonly<Record<string, string>>;
    callFor: (from: Reference) => RemoteCall;
  },
): Promise<Descriptor> {
  if (parts.length === 0) throw new EngineError('invalid-argument', `${formatReference(target)}: an index of nothing`);
  const { domain, path } = target;
  for (const { from, descriptor } of parts) {
    if (from.domain === domain && from.path === path) continue;
    const { digest } = descriptor;
    await using source = await registrySource(options.callFor(from), { domain: from.domain, path: from.path, digest });
    await using sink = registrySink(call, { domain, path, digest });
    await copyImage(source, sink, options);
  }
  const { descriptor, bytes } = writeIndex(parts, options.annotations);
  await call.registry.putManifest(target, { mediaType: descriptor.mediaType, bytes }, call);
  return descriptor;
}
