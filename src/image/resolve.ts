import type { Manager, Provider } from '#content';
import { EngineError } from '#errdefs';
import {
  choosePlatform,
  type Descriptor,
  formatPlatform,
  hostPlatform,
  type ImageConfig,
  type Index,
  isIndex,
  type Manifest,
  normalisePlatform,
  type Platform,
} from '#oci';
import { readConfig, readTarget } from './documents.ts';
import type { ImageView } from './types.ts';

/** Indexes within indexes: real ones go two deep. */
export const maxIndexDepth = 4;
/** Manifests looked at for one target; the largest real indexes have a few dozen. */
export const maxIndexEntries = 1024;

export type ImageSource = Pick<Provider, 'open'> & Pick<Manager, 'stat'>;

/**
 * The image behind a target, for a platform. Of an index, nested ones included, the best match that is present is taken; without a
 * platform the host's, else the first there is. Attestations are never taken, and children that are absent matter only when nothing else fits.
 *
 * @throws `not-found` when nothing fits or a document is absent; `invalid-argument` for documents that are no image.
 */
export async function resolveTarget(
  content: ImageSource,
  target: Descriptor,
  platform: Platform | undefined,
): Promise<ImageView> {
  const document = await readTarget(content, target);
  if (document.kind === 'manifest') return viewOf(content, target, target, document.manifest);
  const chosen = await choose(content, document.index, platform);
  const child = await readTarget(content, chosen);
  if (child.kind !== 'manifest')
    throw new EngineError('invalid-argument', `resolve ${target.digest}: ${chosen.digest} is not a manifest`);
  return { ...(await viewOf(content, target, chosen, child.manifest)), index: document.index };
}

/** Every manifest below a target that is present, attestations included: what keeping the target keeps. */
export async function presentManifests(content: ImageSource, target: Descriptor): Promise<readonly Descriptor[]> {
  const document = await readTarget(content, target);
  if (document.kind === 'manifest') return [target];
  const walk = new IndexWalk(content);
  await walk.visit(document.index, 1);
  return [target, ...walk.indexes, ...walk.present];
}

async function choose(content: ImageSource, index: Index, platform: Platform | undefined): Promise<Descriptor> {
  const walk = new IndexWalk(content);
  await walk.visit(index, 1);
  const described = await Promise.all(walk.present.map((leaf) => withPlatform(content, leaf)));
  const wanted = platform ?? hostPlatform();
  const best = choosePlatform(described, wanted) ?? (platform ? undefined : firstRunnable(described));
  const chosen = best && walk.present[described.indexOf(best)];
  if (chosen) return chosen;
  const fact = choosePlatform(walk.absent, wanted) ? 'its manifest is not in the store' : 'not offered';
  throw new EngineError(
    'not-found',
    `no matching manifest for ${formatPlatform(wanted)} in the manifest list entries: ${fact}`,
  );
}

/** Any entry that says it runs somewhere. */
function firstRunnable(leaves: readonly Descriptor[]): Descriptor | undefined {
  return leaves.find((leaf) => choosePlatform([leaf], leaf.platform ?? hostPlatform()) !== undefined);
}

/** An entry that names no platform has its config's, as containerd reads it. */
async function withPlatform(content: ImageSource, leaf: Descriptor): Promise<Descriptor> {
  if (leaf.platform?.os) return leaf;
  try {
    const document = await readTarget(content, leaf);
    if (document.kind !== 'manifest') return leaf;
    return { ...leaf, platform: platformOf(await readConfig(content, document.manifest.config.digest)) };
  } catch (error) {
    // Not an image at all, an artifact say: left as it is, after all that match.
    if (error instanceof EngineError) return leaf;
    throw error;
  }
}

/** The leaves of an index, in order. */
class IndexWalk {
  readonly present: Descriptor[] = [];
  readonly absent: Descriptor[] = [];
  readonly indexes: Descriptor[] = [];
  readonly #content: ImageSource;

  constructor(content: ImageSource) {
    this.#content = content;
  }

  async visit(index: Index, depth: number): Promise<void> {
    for (const child of index.manifests) {
      if (this.present.length + this.absent.length >= maxIndexEntries)
        throw new EngineError('invalid-argument', `resolve index: more than ${maxIndexEntries} manifests`);
      if (!(await this.#content.stat(child.digest))) this.absent.push(child);
      else if (isIndex(child.mediaType)) await this.#descend(child, depth);
      else this.present.push(child);
    }
  }

  async #descend(child: Descriptor, depth: number): Promise<void> {
    if (depth >= maxIndexDepth)
      throw new EngineError('invalid-argument', `resolve index: nested deeper than ${maxIndexDepth}`);
    const document = await readTarget(this.#content, child);
    if (document.kind !== 'index') return;
    this.indexes.push(child);
    await this.visit(document.index, depth + 1);
  }
}

async function viewOf(
  content: ImageSource,
  target: Descriptor,
  manifestDescriptor: Descriptor,
  manifest: Manifest,
): Promise<ImageView> {
  const config = await readConfig(content, manifest.config.digest);
  const diffIDs = config.rootfs.diff_ids;
  requireSameLength(manifest.layers.length, diffIDs.length);
  return { target, manifestDescriptor, manifest, config, diffIDs, platform: platformOf(config) };
}

/** @throws `invalid-argument` in Docker's words. */
export function requireSameLength(layers: number, diffIDs: number): void {
  if (layers !== diffIDs)
    throw new EngineError(
      'invalid-argument',
      `invalid manifest, layers length mismatch: expected ${layers}, got ${diffIDs}`,
    );
}

/** image-spec v1.1 config.md: the platform's fields, normalised. */
export function platformOf(config: ImageConfig): Platform {
  const version = config['os.version'];
  const features = config['os.features'];
  return normalisePlatform({
    os: config.os,
    architecture: config.architecture,
    ...(config.variant ? { variant: config.variant } : {}),
    ...(version ? { 'os.version': version } : {}),
    ...(features?.length ? { 'os.features': features } : {}),
  });
}

/** @throws `invalid-argument` in Docker's words. */
export function requireLinux({ os }: Pick<ImageConfig, 'os'>): void {
  if (os === '' || os === 'linux') return;
  throw new EngineError(
    'invalid-argument',
    `image operating system "${os}" cannot be used on this platform: operating system is not supported`,
  );
}
