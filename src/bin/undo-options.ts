import { parseDurationNs } from '#dockerfile';

const defaultGraceMs = 24 * 3_600_000;
const defaultScrubMs = 7 * 24 * 3_600_000;

/** How long what is removed is kept, in milliseconds. @throws Error with what is wrong with it. */
export function parseGraceMs(text: string | undefined): number {
  return text === undefined ? defaultGraceMs : durationMs('undo grace', text);
}

/** How often everything is read, in milliseconds. @throws Error with what is wrong with it. */
export function parseScrubIntervalMs(text: string | undefined): number {
  return text === undefined ? defaultScrubMs : durationMs('scrub interval', text);
}

/** Throws a plain Error for what is no duration. */
export function checkGrace(text: string): void {
  parseGraceMs(text);
}

/** The same. */
export function checkScrubInterval(text: string): void {
  parseScrubIntervalMs(text);
}

function durationMs(what: string, text: string): number {
  const ms = Number(parseDurationNs(text) / 1_000_000n);
  if (ms < 0) throw new RangeError(`invalid ${what}: ${text}: less than no time`);
  return ms;
}
