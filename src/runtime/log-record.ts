const space = 0x20;
const dash = 0x2d;
const colon = 0x3a;
export const lineFeed = 0x0a;
const [letterT, letterF, letterP] = [0x54, 0x46, 0x50];
/** `2026-11-21T03:00:00Z` and `2026-11-21T03:00:00.123456789+00:00`. */
const [minTimeLength, maxTimeLength] = [20, 35];
const [outName, errName] = [Buffer.from('stdout '), Buffer.from('stderr ')];

/**
 * The front of one line of conmon's k8s-file format, read in place, one after the other with one of these:
 * `2026-11-21T03:00:00.123456789+00:00 stdout F text`. `F` ends a line of the process's, `P` is a piece of one.
 */
export class RecordHead {
  timeEnd = 0;
  isStderr = false;
  isPartial = false;
  textStart = 0;

  /** False when the bytes up to the line feed at `end` are none of ours. The time is only judged by its shape. */
  read(data: Buffer, start: number, end: number): boolean {
    const usualEnd = start + maxTimeLength;
    const isUsual = data[usualEnd] === space && data[usualEnd - 3] === colon;
    const timeEnd = isUsual ? usualEnd : data.indexOf(space, start);
    const length = timeEnd - start;
    if (length < minTimeLength || length > maxTimeLength) return false;
    if (data[start + 4] !== dash || data[start + 10] !== letterT) return false;
    const tagAt = timeEnd + 1 + outName.length;
    if (tagAt + 2 > end || data[tagAt + 1] !== space) return false;
    const tag = data[tagAt];
    if (tag !== letterF && tag !== letterP) return false;
    this.isStderr = has(data, timeEnd + 1, errName);
    if (!this.isStderr && !has(data, timeEnd + 1, outName)) return false;
    this.timeEnd = timeEnd;
    this.isPartial = tag === letterP;
    this.textStart = tagAt + 2;
    return true;
  }
}

function has(data: Buffer, start: number, wanted: Buffer): boolean {
  for (let at = 0; at < wanted.length; at++) if (data[start + at] !== wanted[at]) return false;
  return true;
}
