import { EngineError } from '#errdefs';

/** The name that reproducible-builds.org gave it. */
export const epochArgument = 'SOURCE_DATE_EPOCH';

const maxSec = 253_402_300_799;

/** What the times in an image follow: a moment that was given, the images that a step stands on, or the clock. */
export type BuildTimes =
  | { readonly kind: 'given'; readonly epochSec: number }
  | { readonly kind: 'base' }
  | { readonly kind: 'clock' };

/**
 * The times that a build was asked for by its arguments: an empty `SOURCE_DATE_EPOCH` means the clock, none at all the engine's own way.
 * @throws EngineError `invalid-argument`
 */
export function buildTimes(
  buildArgs: Readonly<Record<string, string | null>>,
  { reproducible }: { readonly reproducible: boolean },
): BuildTimes {
  const text = Object.hasOwn(buildArgs, epochArgument) ? buildArgs[epochArgument] : undefined;
  if (text === undefined || text === null) return { kind: reproducible ? 'base' : 'clock' };
  if (text === '') return { kind: 'clock' };
  const epochSec = /^\d{1,12}$/.test(text) ? Number(text) : Number.NaN;
  if (epochSec <= maxSec) return { kind: 'given', epochSec };
  throw new EngineError(
    'invalid-argument',
    `invalid ${epochArgument}: ${JSON.stringify(text)} is no number of seconds`,
  );
}
