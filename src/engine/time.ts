import { parseDurationNs } from '#dockerfile';
import { EngineError } from '#errdefs';

/** How Docker writes "never". */
export const zeroTime = '0001-01-01T00:00:00Z';

/** Nanoseconds since the epoch, as exact as the clock gives (wall clock anchored once per call). */
export function nowNs(): bigint {
  return BigInt(Date.now()) * 1_000_000n + (process.hrtime.bigint() % 1_000_000n);
}

/** RFC 3339 in UTC with nanoseconds and no trailing zeros, as Go's RFC3339Nano. */
export function formatNs(timeNs: bigint): string {
  const ms = Number(timeNs / 1_000_000_000n) * 1000;
  const fraction = String(((timeNs % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n)
    .padStart(9, '0')
    .replace(/0+$/, '');
  return `${new Date(ms).toISOString().slice(0, 19)}${fraction === '' ? '' : `.${fraction}`}Z`;
}

export function formatMs(timeMs: number): string {
  return formatNs(BigInt(Math.trunc(timeMs)) * 1_000_000n);
}

function durationNs(text: string): bigint | undefined {
  try {
    return parseDurationNs(text);
  } catch {
    return undefined;
  }
}

/**
 * A time as the API takes it: seconds since the epoch with a fraction, RFC 3339 (also without zone or time), or a duration back from now.
 * @throws `invalid-argument`.
 */
export function parseTimeNs(text: string): bigint {
  const seconds = /^(-?\d+)(?:\.(\d{1,9}))?$/.exec(text);
  if (seconds) return BigInt(seconds[1]!) * 1_000_000_000n + BigInt((seconds[2] ?? '').padEnd(9, '0'));
  const duration = durationNs(text);
  if (duration !== undefined) return nowNs() - duration;
  const stamp = /^(\d{4}-\d{2}-\d{2})(?:T(\d{2}:\d{2}(?::\d{2})?)(?:\.(\d{1,9}))?)?(Z|[+-]\d{2}:\d{2})?$/.exec(text);
  if (stamp) {
    const [, day, clock = '00:00:00', fraction = '', zone = 'Z'] = stamp;
    const ms = Date.parse(`${day}T${clock.length === 5 ? `${clock}:00` : clock}${zone}`);
    if (!Number.isNaN(ms)) return BigInt(ms) * 1_000_000n + BigInt(fraction.padEnd(9, '0'));
  }
  throw new EngineError('invalid-argument', `failed to parse value as time or duration: ${JSON.stringify(text)}`);
}
