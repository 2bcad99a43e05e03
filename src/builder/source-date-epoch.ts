import { EngineError } from '#errdefs';

/** The name that reproducible-builds.org gave it. */
export const epochArgument = 'SOURCE_DATE_EPOCH';

const maxSec = 253_402_300_799;

/**
 * The moment that a build shall have taken place at, in seconds since the epoch, from its build argument; undefined where none is given.
 * @throws EngineError `invalid-argument`
 */
export function sourceDateEpoch(buildArgs: Readonly<Record<string, string | null>>): number | undefined {
  const text = Object.hasOwn(buildArgs, epochArgument) ? buildArgs[epochArgument] : undefined;
  if (text === undefined || text === null || text === '') return undefined;
  const sec = /^\d{1,12}$/.test(text) ? Number(text) : Number.NaN;
  if (sec <= maxSec) return sec;
  throw new EngineError(
    'invalid-argument',
    `invalid ${epochArgument}: ${JSON.stringify(text)} is no number of seconds`,
  );
}
