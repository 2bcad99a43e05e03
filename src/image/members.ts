import { choosePlatform, type Descriptor, type Digest, isIndex, type Platform } from '#oci';

/** As much of a stored image as is needed to choose among the platforms of an index. */
export interface PlatformImage {
  readonly id: Digest;
  readonly manifest: Descriptor;
  /** Left out by records that were made before it was noted: of those days only the host's platform came without being asked for. */
  readonly platform?: Platform;
}

/**
 * The platform's image among those of an index that are here. Without a platform the host's, by image-spec's rules on variants; else the one that
 * came last.
 */
export function chooseMember<T extends PlatformImage>(
  members: readonly T[],
  wanted: Platform | undefined,
  host: Platform,
): T | undefined {
  const offered = members.map(({ manifest: { mediaType, digest, size }, platform }) => ({
    mediaType,
    digest,
    size,
    platform: platform ?? host,
  }));
  const best = choosePlatform(offered, wanted ?? host);
  if (best) return members[offered.indexOf(best as (typeof offered)[number])];
  return wanted ? undefined : members.at(-1);
}

/** What one of an image's names points at. */
export function targetOfName(
  image: { readonly target: Descriptor; readonly nameTargets: Readonly<Record<string, Descriptor>> },
  name: string,
): Descriptor {
  return (Object.hasOwn(image.nameTargets, name) ? image.nameTargets[name] : undefined) ?? image.target;
}

/** The indexes an image's names point at, each once; of an image without names its own. */
export function indexesOf(image: {
  readonly target: Descriptor;
  readonly names: readonly string[];
  readonly nameTargets: Readonly<Record<string, Descriptor>>;
}): readonly Descriptor[] {
  const targets = image.names.length === 0 ? [image.target] : image.names.map((name) => targetOfName(image, name));
  return [...new Map(targets.map((target) => [target.digest, target])).values()].filter(({ mediaType }) =>
    isIndex(mediaType),
  );
}
