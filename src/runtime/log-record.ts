import type { LogRecord } from './types.ts';

const space = 0x20;
const lineFeed = 0x0a;
const tagLength = 2;
const nanosPerMilli = 1_000_000n;

/**
 * One line of conmon's k8s-file format, its line feed included: `2026-11-21T03:00:00.123456789+00:00 stdout F text`. `F` ends
 * a line of the process's, `P` is a piece of one. Undefined when it is none of ours.
 */
export function parseLogLine(line: Buffer): LogRecord | undefined {
  const timeEnd = line.indexOf(space);
  const streamEnd = line.indexOf(space, timeEnd + 1);
  const textStart = streamEnd + 1 + tagLength;
  if (timeEnd < 0 || streamEnd < 0 || line.length <= textStart - 1) return undefined;
  const timeNs = parseTime(line.toString('latin1', 0, timeEnd));
  const stream = line.toString('latin1', timeEnd + 1, streamEnd);
  const tag = line.toString('latin1', streamEnd + 1, textStart);
  if (timeNs === undefined || (stream !== 'stdout' && stream !== 'stderr')) return undefined;
  if (tag !== 'F ' && tag !== 'P ') return undefined;
  const partial = tag === 'P ';
  return {
    timeNs,
    time: new Date(Number(timeNs / nanosPerMilli)),
    stream,
    line: line.subarray(textStart, partial && line.at(-1) === lineFeed ? -1 : undefined),
    partial,
  };
}

let lastSecond = '';
let lastSecondMs = 0;

/** RFC 3339 with up to nine digits of fraction. Most lines share their second with the one before. */
function parseTime(text: string): bigint | undefined {
  const zoneStart = text.endsWith('Z') ? text.length - 1 : text.length - 6;
  const second = text.slice(0, 19) + text.slice(zoneStart);
  if (second !== lastSecond) {
    const ms = Date.parse(second);
    if (Number.isNaN(ms)) return undefined;
    lastSecond = second;
    lastSecondMs = ms;
  }
  const fraction = text.charCodeAt(19) === 0x2e ? text.slice(20, zoneStart) : '';
  if (!/^\d{0,9}$/.test(fraction)) return undefined;
  return BigInt(lastSecondMs) * nanosPerMilli + BigInt(fraction.padEnd(9, '0'));
}

export { lineFeed };
