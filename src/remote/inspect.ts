import { Semaphore } from '#concurrency';
import { EngineError } from '#errdefs';
import {
  choosePlatform,
  type Descriptor,
  type Digest,
  digestAlgorithm,
  digestOf,
  formatPlatform,
  hostPlatform,
  type ImageConfig,
  isConfig,
  isIndex,
  isManifest,
  type Manifest,
  maxConfigBytes,
  normalisePlatform,
  type Platform,
  parseConfig,
  parseTarget,
} from '#oci';
import { formatReference, type Reference } from '#reference';
import { resumable } from '#registry';
import { readAll } from '#streams';
import type { RemoteCall } from './types.ts';

/** Manifests of one index that are fetched for their sizes; the largest real ones have a few dozen. */
const maxPlatforms = 128;
const maxDepth = 4;
const parallelReads = 6;

/** One image of an index. Sizes are of what is transferred: config and layers as the registry has them. */
export interface RemotePlatform {
  readonly Platform: string;
  readonly MediaType: string;
  readonly Digest: Digest;
  readonly Size: number;
  readonly Layers: number;
}

/** The image that would be pulled. */
export interface RemoteImage {
  readonly Platform: string;
  readonly Digest: Digest;
  readonly MediaType: string;
  readonly Size: number;
  readonly ConfigDigest: Digest;
  readonly ArtifactType?: string;
  readonly Created?: string;
  readonly Author?: string;
  readonly Config?: ImageConfig['config'];
  readonly DiffIDs?: readonly Digest[];
  readonly History?: ImageConfig['history'];
  readonly Layers: readonly { readonly MediaType: string; readonly Digest: Digest; readonly Size: number }[];
  readonly Annotations?: Readonly<Record<string, string>>;
}

export interface RemoteInspection {
  readonly Reference: string;
  readonly MediaType: string;
  readonly Digest: Digest;
  /** Bytes of all images together, blobs that several share counted once. */
  readonly Size: number;
  readonly Platforms: readonly RemotePlatform[];
  /** Statements about the images (SBOM, provenance) that the index has beside them. */
  readonly Attestations: number;
  readonly Annotations?: Readonly<Record<string, string>>;
  readonly Image: RemoteImage;
}

interface Child {
  readonly descriptor: Descriptor;
  readonly manifest: Manifest;
  readonly platform: Platform | undefined;
}

/**
 * What a reference names, asked of its registry: every platform with its size, and the image of one of them with config and layers. Without a
 * platform it is the host's, or the first there is.
 * @throws `not-found` when the index has nothing for the platform; RegistryError.
 */
export async function inspectRemote(
  call: RemoteCall,
  reference: Reference,
  options: { platform?: Platform | undefined } = {},
): Promise<RemoteInspection> {
  const top = await call.registry.manifest(reference, call);
  const target = parseTarget(top.bytes, top.descriptor.mediaType);
  const listed = target.kind === 'index' ? await leavesOf(call, reference, target.index.manifests) : [top.descriptor];
  const children = await readChildren(call, reference, listed.filter(isImage));
  const chosen = choose(children, options.platform);
  const image = await describe(call, reference, chosen);
  const annotations = target.kind === 'index' ? target.index.annotations : undefined;
  return {
    Reference: formatReference(reference),
    MediaType: top.descriptor.mediaType,
    Digest: top.descriptor.digest,
    Size: sizeOf(children.map(({ manifest }) => manifest)),
    Platforms: children.map((child) => listing(child, child === chosen ? image.Platform : undefined)),
    Attestations: listed.filter(isAttestation).length,
    ...(annotations ? { Annotations: annotations } : {}),
    Image: image,
  };
}

/** Indexes within indexes are opened. */
async function leavesOf(
  call: RemoteCall,
  reference: Reference,
  manifests: readonly Descriptor[],
  depth = 1,
): Promise<readonly Descriptor[]> {
  if (depth > maxDepth)
    throw new EngineError('invalid-argument', `inspect: indexes are nested deeper than ${maxDepth}`);
  const leaves: Descriptor[] = [];
  for (const child of manifests) {
    if (leaves.length > maxPlatforms)
      throw new EngineError('invalid-argument', `inspect: the index has more than ${maxPlatforms} manifests`);
    if (!isIndex(child.mediaType)) {
      leaves.push(child);
      continue;
    }
    const { bytes } = await call.registry.manifest(at(reference, child.digest), call);
    const target = parseTarget(bytes, child.mediaType);
    if (target.kind === 'index') leaves.push(...(await leavesOf(call, reference, target.index.manifests, depth + 1)));
  }
  return leaves;
}

function isAttestation(descriptor: Descriptor): boolean {
  return descriptor.annotations?.['vnd.docker.reference.type'] === 'attestation-manifest';
}

function isImage(descriptor: Descriptor): boolean {
  return !isAttestation(descriptor) && isManifest(descriptor.mediaType);
}

async function readChildren(
  call: RemoteCall,
  reference: Reference,
  descriptors: readonly Descriptor[],
): Promise<readonly Child[]> {
  const places = new Semaphore(parallelReads);
  const read = async (descriptor: Descriptor): Promise<Child> => {
    using _ = await places.acquire({ signal: call.signal });
    const { bytes } = await call.registry.manifest(at(reference, descriptor.digest), call);
    const target = parseTarget(bytes, descriptor.mediaType || undefined);
    if (target.kind !== 'manifest')
      throw new EngineError('invalid-argument', `inspect ${descriptor.digest}: it is not the manifest its index says`);
    return { descriptor, manifest: target.manifest, platform: descriptor.platform };
  };
  return await Promise.all(descriptors.map(read));
}

function choose(children: readonly Child[], wanted: Platform | undefined): Child {
  const [first] = children;
  const descriptors = children.map(({ descriptor }) => descriptor);
  const best = choosePlatform(descriptors, wanted ?? hostPlatform());
  const chosen = best ? children[descriptors.indexOf(best)] : wanted ? undefined : first;
  if (chosen) return chosen;
  const fact = wanted ? `no matching manifest for ${formatPlatform(wanted)}` : 'no image';
  throw new EngineError('not-found', `${fact} in the manifest list entries`);
}

async function describe(call: RemoteCall, reference: Reference, child: Child): Promise<RemoteImage> {
  const { manifest, descriptor } = child;
  const config = isConfig(manifest.config.mediaType) ? await readConfig(call, reference, manifest.config) : undefined;
  const artifactType = manifest.artifactType ?? (config ? undefined : manifest.config.mediaType);
  return {
    Platform: platformText(config ?? child.platform),
    Digest: descriptor.digest,
    MediaType: descriptor.mediaType,
    Size: sizeOf([manifest]),
    ConfigDigest: manifest.config.digest,
    ...(artifactType ? { ArtifactType: artifactType } : {}),
    ...(config?.created ? { Created: config.created } : {}),
    ...(config?.author ? { Author: config.author } : {}),
    ...(config?.config ? { Config: config.config } : {}),
    ...(config ? { DiffIDs: config.rootfs.diff_ids } : {}),
    ...(config?.history ? { History: config.history } : {}),
    Layers: manifest.layers.map(({ mediaType, digest, size }) => ({
      MediaType: mediaType,
      Digest: digest,
      Size: size,
    })),
    ...(manifest.annotations ? { Annotations: manifest.annotations } : {}),
  };
}

async function readConfig(call: RemoteCall, reference: Reference, config: Descriptor): Promise<ImageConfig> {
  if (config.size > maxConfigBytes)
    throw new EngineError(
      'invalid-argument',
      `inspect image config ${config.digest}: larger than ${maxConfigBytes} bytes`,
    );
  const what = `image config ${config.digest}`;
  const source = resumable((offset) => call.registry.blob(reference, config.digest, { ...call, offset }), {
    what: `fetch ${what}`,
    sizeBytes: config.size,
    signal: call.signal,
  });
  const bytes = await readAll(source, config.size, what);
  if (digestOf(bytes, digestAlgorithm(config.digest)) !== config.digest)
    throw new EngineError('data-loss', `image config verification failed for digest ${config.digest}`);
  return parseConfig(bytes);
}

function listing({ descriptor, manifest, platform }: Child, known: string | undefined): RemotePlatform {
  return {
    Platform: known ?? platformText(platform),
    MediaType: descriptor.mediaType,
    Digest: descriptor.digest,
    Size: sizeOf([manifest]),
    Layers: manifest.layers.length,
  };
}

/** As `--platform` takes it: Windows with its version. */
function platformText(platform: Partial<Platform> | undefined): string {
  if (!platform?.os || !platform.architecture) return '';
  const { os, architecture, variant } = platform;
  const text = formatPlatform(normalisePlatform({ os, architecture, ...(variant ? { variant } : {}) }));
  const version = platform['os.version'];
  return version ? text.replace('/', `(${version})/`) : text;
}

function sizeOf(manifests: readonly Manifest[]): number {
  const blobs = manifests.flatMap(({ config, layers }) => [config, ...layers]);
  const sizes = new Map(blobs.map(({ digest, size }) => [digest, size]));
  return [...sizes.values()].reduce((sum, size) => sum + size, 0);
}

function at({ domain, path }: Reference, digest: Digest): Reference {
  return { domain, path, digest };
}
