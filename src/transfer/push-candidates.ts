import { type Descriptor, type DiffID, type Digest, isLayer, mediaTypes } from '#oci';
import { fullName, type Reference } from '#reference';
import type { TransferStores } from './types.ts';

/** A compressed form of a layer that was seen before. */
export interface KnownBlob {
  readonly descriptor: Descriptor;
  /** Repositories (`host/path`) that have it, the target's host first. */
  readonly repositories: readonly string[];
  /** Paths on the target's host to mount it from. */
  readonly mountFrom: readonly string[];
}

/** A layer of the image to be pushed. */
export interface KnownLayer {
  readonly diffID: DiffID;
  /** As the image's manifest has it; uncompressed for an image made here. */
  readonly descriptor: Descriptor;
  /** The manifest came from elsewhere: its digest should stay, so these very bytes come first. */
  readonly isOriginal: boolean;
}

/** Looked for on the registry, each with a request or two. */
const maxCandidates = 4;
const maxMounts = 3;
const uncompressed: ReadonlySet<string> = new Set([mediaTypes.ociLayer, mediaTypes.dockerLayer]);

export function isCompressed(descriptor: Descriptor): boolean {
  return isLayer(descriptor.mediaType) && !uncompressed.has(descriptor.mediaType);
}

/**
 * The compressed forms to try, best first: the one the image's manifest names, so that its digest can stay; then what the target's repository
 * is known to have, its host, and the rest. The order depends on nothing else, so that equal pushes give equal manifests.
 */
export function candidatesFor(
  stores: TransferStores,
  target: Reference,
  { diffID, descriptor: own, isOriginal }: KnownLayer,
): readonly KnownBlob[] {
  const homes = new Map<Digest, { descriptor: Descriptor; repositories: Set<string> }>();
  if (isOriginal) {
    homes.set(own.digest, { descriptor: own, repositories: new Set() });
  }
  for (const { descriptor, repository } of stores.metadata.layers.origins(diffID)) {
    if (!isCompressed(descriptor) && !homes.has(descriptor.digest)) continue;
    const home = homes.get(descriptor.digest) ?? { descriptor, repositories: new Set<string>() };
    if (repository !== '') home.repositories.add(repository);
    homes.set(descriptor.digest, home);
  }
  const host = `${target.domain}/`;
  const known = [...homes.values()].map(({ descriptor, repositories }): KnownBlob => {
    const sorted = [...repositories].sort();
    const near = sorted.filter((repository) => repository.startsWith(host));
    return {
      descriptor,
      repositories: [...near, ...sorted.filter((repository) => !repository.startsWith(host))],
      mountFrom: near
        .filter((repository) => repository !== fullName(target))
        .map((repository) => repository.slice(host.length))
        .slice(0, maxMounts),
    };
  });
  const rank = (blob: KnownBlob) => {
    if (blob.descriptor.digest === own.digest) return 0;
    if (blob.repositories.includes(fullName(target))) return 1;
    return blob.repositories[0]?.startsWith(host) ? 2 : 3;
  };
  return known.sort((a, b) => rank(a) - rank(b) || compare(a, b)).slice(0, maxCandidates);
}

function compare(a: KnownBlob, b: KnownBlob): number {
  return a.descriptor.digest < b.descriptor.digest ? -1 : 1;
}

/** Compressing the layer again would give this blob. */
export function wasMadeHere(stores: TransferStores, diffID: DiffID, { digest }: Descriptor): boolean {
  return stores.metadata.layers
    .origins(diffID)
    .some(({ descriptor, repository }) => repository === '' && descriptor.digest === digest);
}
