import { EngineError } from '#errdefs';
import {
  choosePlatform,
  type Descriptor,
  type Digest,
  digestOf,
  formatPlatform,
  type Index,
  isIndex,
  type Platform,
  parseTarget,
  partsOf,
} from '#oci';
import type { CopySource } from './places.ts';

/** Indexes within indexes: real ones go two deep. */
const maxDepth = 4;
const maxDocuments = 4096;

/** A document with what it needs. */
export interface ChosenImage {
  readonly descriptor: Descriptor;
  readonly bytes: Buffer;
  /** Config and layers; what an index names that is no manifest. */
  readonly blobs: readonly Descriptor[];
}

export interface Chosen {
  readonly top: ChosenImage;
  /** Children before parents, each once; the top comes last. */
  readonly images: readonly ChosenImage[];
  readonly isNewIndex: boolean;
}

/** Everything below the source's image, or what of it is for the platforms, with the statements about it. */
export async function chooseImages(source: CopySource, platforms: readonly Platform[] | undefined): Promise<Chosen> {
  const walk = new Walk(source);
  const bytes = await source.document(source.top);
  const target = parseTarget(bytes, source.top.mediaType || undefined);
  if (!platforms?.length || target.kind === 'manifest') {
    const top = await walk.visit(source.top, 1);
    return { top, images: walk.images, isNewIndex: false };
  }
  const wanted = platforms.map((platform) => pick(target.index, platform));
  if (wanted.length === 1) {
    const top = await walk.visit(wanted[0]!, 1);
    return { top, images: walk.images, isNewIndex: false };
  }
  const kept = target.index.manifests.filter((entry) => wanted.includes(entry) || isAbout(entry, wanted));
  for (const entry of kept) await walk.visit(entry, 2);
  if (kept.length === target.index.manifests.length)
    return { top: walk.add(source.top, bytes, []), images: walk.images, isNewIndex: false };
  const text = Buffer.from(
    JSON.stringify({ ...(JSON.parse(bytes.toString('utf8')) as object), manifests: rawEntries(bytes, kept) }),
  );
  const descriptor = { mediaType: target.mediaType, digest: digestOf(text), size: text.length };
  return { top: walk.add(descriptor, text, []), images: walk.images, isNewIndex: true };
}

function pick(index: Index, platform: Platform): Descriptor {
  const found = choosePlatform(index.manifests, platform);
  if (found) return found;
  throw new EngineError(
    'not-found',
    `no matching manifest for ${formatPlatform(platform)} in the manifest list entries`,
  );
}

/** An attestation of one of the images. */
function isAbout(entry: Descriptor, images: readonly Descriptor[]): boolean {
  const about = entry.annotations?.['vnd.docker.reference.digest'];
  return images.some(({ digest }) => digest === about);
}

/** As they are written in the original, unknown fields too. */
function rawEntries(bytes: Buffer, kept: readonly Descriptor[]): readonly unknown[] {
  const { manifests } = JSON.parse(bytes.toString('utf8')) as { manifests: { digest: string }[] };
  return manifests.filter(({ digest }) => kept.some((entry) => entry.digest === digest));
}

class Walk {
  readonly images: ChosenImage[] = [];
  readonly #source: CopySource;
  readonly #seen = new Map<Digest, ChosenImage>();

  constructor(source: CopySource) {
    this.#source = source;
  }

  async visit(descriptor: Descriptor, depth: number): Promise<ChosenImage> {
    const known = this.#seen.get(descriptor.digest);
    if (known) return known;
    if (depth > maxDepth) throw new EngineError('invalid-argument', `copy: indexes are nested deeper than ${maxDepth}`);
    if (this.#seen.size >= maxDocuments)
      throw new EngineError('invalid-argument', `copy: more than ${maxDocuments} manifests`);
    const bytes = await this.#source.document(descriptor);
    const target = parseTarget(bytes, descriptor.mediaType || undefined);
    if (isIndex(descriptor.mediaType) !== (target.kind === 'index'))
      throw new EngineError(
        'invalid-argument',
        `copy ${descriptor.digest}: it is not the ${descriptor.mediaType} its index says`,
      );
    const { children, blobs } = partsOf(target);
    for (const child of children) await this.visit(child, depth + 1);
    return this.add({ ...descriptor, mediaType: target.mediaType }, bytes, blobs);
  }

  add(descriptor: Descriptor, bytes: Buffer, blobs: readonly Descriptor[]): ChosenImage {
    const image = {
      descriptor: { mediaType: descriptor.mediaType, digest: descriptor.digest, size: bytes.length },
      bytes,
      blobs,
    };
    this.#seen.set(descriptor.digest, image);
    this.images.push(image);
    return image;
  }
}
