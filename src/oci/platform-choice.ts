import { normalisePlatform } from './platform.ts';
import type { Descriptor, Platform } from './types.ts';

/** What runs on `wanted`, best first: itself, then lower variants, then the 32-bit sibling. As containerd's `platforms.Only`. */
export function compatiblePlatforms(wanted: Platform): readonly Platform[] {
  const platform = normalisePlatform(wanted);
  const { os, architecture, variant = '' } = platform;
  const at = (name: string, level: string): Platform => ({
    os,
    architecture: name,
    ...(level ? { variant: level } : {}),
  });
  switch (architecture) {
    case 'amd64':
      return [platform, ...below(variant, 1).map((level) => at('amd64', level === 'v1' ? '' : level)), at('386', '')];
    case 'arm':
      return [platform, ...below(variant, 5).map((level) => at('arm', level))];
    case 'arm64':
      return [
        platform,
        ...arm64Below(variant).map((level) => at('arm64', level)),
        ...['v8', 'v7', 'v6', 'v5'].map((level) => at('arm', level)),
      ];
    default:
      return [platform];
  }
}

/** `v3` down to `v<lowest>`, without itself. */
function below(variant: string, lowest: number): string[] {
  const top = Number(/^v(\d)$/.exec(variant)?.[1] ?? 0);
  return Array.from({ length: Math.max(0, top - lowest) }, (_, index) => `v${top - 1 - index}`);
}

/** Arm architecture levels: 9.N holds everything of 8.(N+5). The empty variant is v8. */
function arm64Below(variant: string): string[] {
  const match = /^v([89])(?:\.(\d))?$/.exec(variant);
  if (!match) return [];
  const minor = Number(match[2] ?? 0);
  const nines = match[1] === '9' ? levels('v9', minor - 1) : [];
  const eights = levels('v8', match[1] === '9' ? Math.min(minor + 5, 9) : minor - 1);
  return [...nines, ...eights];
}

function levels(major: 'v8' | 'v9', from: number): string[] {
  return Array.from({ length: Math.max(0, from + 1) }, (_, index) => {
    const minor = from - index;
    return minor > 0 ? `${major}.${minor}` : major === 'v9' ? 'v9' : '';
  });
}

/** How well `offered` fits: 0 is best, `undefined` does not run. */
export function platformRank(offered: Platform, wanted: Platform): number | undefined {
  const candidate = normalisePlatform(offered);
  const rank = compatiblePlatforms(wanted).findIndex(
    (platform) =>
      platform.os === candidate.os &&
      platform.architecture === candidate.architecture &&
      (platform.variant ?? '') === (candidate.variant ?? ''),
  );
  return rank < 0 ? undefined : rank;
}

/**
 * Picks from an index, as dockerd does: the best match wins, the earlier of two equals; an entry that names no platform comes after every match;
 * attestations (`unknown/unknown`) never count. `undefined` when nothing runs on `wanted`.
 */
export function choosePlatform(descriptors: readonly Descriptor[], wanted: Platform): Descriptor | undefined {
  let best: { descriptor: Descriptor; rank: number } | undefined;
  for (const descriptor of descriptors) {
    const rank = rankOf(descriptor, wanted);
    if (rank !== undefined && (best === undefined || rank < best.rank)) best = { descriptor, rank };
  }
  return best?.descriptor;
}

/** What says something about another entry of its index, as buildx writes it: no platform to run. */
export function isAttestation({ annotations }: Descriptor): boolean {
  return annotations?.['vnd.docker.reference.type'] === 'attestation-manifest';
}

function rankOf(descriptor: Descriptor, wanted: Platform): number | undefined {
  const { platform } = descriptor;
  if (isAttestation(descriptor)) return undefined;
  if (!platform || (platform.os === '' && platform.architecture === '')) return Number.MAX_SAFE_INTEGER;
  if (platform.os === 'unknown' || platform.architecture === 'unknown') return undefined;
  if (!hasFeatures(platform, wanted)) return undefined;
  return platformRank(platform, wanted);
}

/** Windows: the build must be the wanted one when a version was asked for. */
function hasFeatures(offered: Platform, wanted: Platform): boolean {
  const version = wanted['os.version'];
  return !version || !offered['os.version'] || `${offered['os.version']}.`.startsWith(`${version}.`);
}
