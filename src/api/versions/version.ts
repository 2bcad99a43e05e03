import { EngineError } from '#errdefs';

/** What clients are told and a path without a version means, unless the daemon is told otherwise: that of Docker Engine 28. */
export const defaultVersion = '1.51';
export const minimumVersion = '1.24';
/** Answered to whoever asks by the path. */
export const newestVersion = '1.55';

/** Dotted numbers, compared as numbers. */
export function versionBefore(version: string, other: string): boolean {
  const left = version.split('.').map(Number);
  const right = other.split('.').map(Number);
  for (let at = 0; at < Math.max(left.length, right.length); at++) {
    const difference = (left[at] ?? 0) - (right[at] ?? 0);
    if (difference !== 0) return difference < 0;
  }
  return false;
}

export function isVersionServed(version: string): boolean {
  return (
    /^1\.\d{1,3}$/.test(version) && !versionBefore(version, minimumVersion) && !versionBefore(newestVersion, version)
  );
}

/** dockerd answers clients from before 1.24, which know no JSON errors, with plain text. */
export class TooOldError extends EngineError {
  constructor(version: string) {
    super(
      'invalid-argument',
      `client version ${version} is too old. Minimum supported API version is ${minimumVersion}, please upgrade your client to a newer version`,
    );
  }
}

/** The version a request speaks: what its path says, or what clients are told. @throws `invalid-argument` outside what we speak. */
export function negotiate(requested: string | undefined, told: string): string {
  if (requested === undefined) return told;
  if (versionBefore(requested, minimumVersion)) throw new TooOldError(requested);
  if (versionBefore(newestVersion, requested)) {
    throw new EngineError(
      'invalid-argument',
      `client version ${requested} is too new. Maximum supported API version is ${newestVersion}`,
    );
  }
  return requested;
}
