import { parseDurationNs } from '#dockerfile';

const defaultGraceMs = 24 * 3_600_000;

/** How long what is removed is kept, in milliseconds. @throws Error with what is wrong with it. */
export function parseGraceMs(text: string | undefined): number {
  if (text === undefined) return defaultGraceMs;
  const graceMs = Number(parseDurationNs(text) / 1_000_000n);
  if (graceMs < 0) throw new RangeError(`invalid undo grace: ${text}: less than no time`);
  return graceMs;
}

/** Throws a plain Error for what is no duration. */
export function checkGrace(text: string): void {
  parseGraceMs(text);
}
