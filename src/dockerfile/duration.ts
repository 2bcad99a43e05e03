import { quote } from './text.ts';

const unitNs: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1_000n,
  µs: 1_000n,
  μs: 1_000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
};
const maxNs = (1n << 63n) - 1n;

/** `time.ParseDuration`: nanoseconds. @throws Error with Go's words; the caller gives it a kind. */
export function parseDurationNs(text: string): bigint {
  const fail = (reason: string): never => {
    throw new RangeError(`time: ${reason}`);
  };
  const invalid = `invalid duration ${quote(text)}`;
  const negative = text.startsWith('-');
  let rest = /^[+-]/.test(text) ? text.slice(1) : text;
  if (rest === '0') return 0n;
  if (rest === '') fail(invalid);
  let totalNs = 0n;
  while (rest !== '') {
    const number = /^(\d*)(?:\.(\d*))?/.exec(rest)!;
    const whole = number[1]!;
    const fraction = number[2] ?? '';
    if (whole === '' && fraction === '') fail(invalid);
    rest = rest.slice(number[0].length);
    const unitName = /^[^.\d]*/.exec(rest)![0];
    if (unitName === '') fail(`missing unit in duration ${quote(text)}`);
    const scale = unitNs[unitName] ?? fail(`unknown unit ${quote(unitName)} in duration ${quote(text)}`);
    rest = rest.slice(unitName.length);
    if (whole.length > 19) fail(invalid);
    totalNs += BigInt(whole || '0') * scale + fractionNs(fraction, scale);
    if (totalNs > maxNs) fail(invalid);
  }
  return negative ? -totalNs : totalNs;
}

function fractionNs(digits: string, scale: bigint): bigint {
  const kept = digits.slice(0, 18);
  return kept === '' ? 0n : (BigInt(kept) * scale) / 10n ** BigInt(kept.length);
}

/** `time.Duration.String`: `1h30m0s`, `1.5s`, `10ms`, `0s`. */
export function formatDuration(ns: bigint | number): string {
  const total = BigInt(ns);
  if (total === 0n) return '0s';
  const sign = total < 0n ? '-' : '';
  const value = total < 0n ? -total : total;
  if (value < 1_000n) return `${sign}${value}ns`;
  if (value < 1_000_000n) return `${sign}${decimal(value, 1_000n)}µs`;
  if (value < 1_000_000_000n) return `${sign}${decimal(value, 1_000_000n)}ms`;
  const seconds = value / 1_000_000_000n;
  const hours = seconds / 3600n;
  const minutes = (seconds / 60n) % 60n;
  let text = sign;
  if (hours > 0n) text += `${hours}h`;
  if (hours > 0n || minutes > 0n) text += `${minutes}m`;
  return `${text}${decimal(value % 60_000_000_000n, 1_000_000_000n)}s`;
}

function decimal(value: bigint, unit: bigint): string {
  const fraction = (value % unit)
    .toString()
    .padStart(unit.toString().length - 1, '0')
    .replace(/0+$/, '');
  return fraction === '' ? `${value / unit}` : `${value / unit}.${fraction}`;
}
