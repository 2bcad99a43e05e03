import { EngineError } from '#errdefs';

/** Numbers of entries, from and to (inclusive): what is wanted mostly stands together. */
export type Ranges = readonly (readonly [from: number, to: number])[];

/** Of ascending numbers. */
export function rangesOf(numbers: readonly number[]): Ranges {
  const ranges: [number, number][] = [];
  for (const number of numbers) {
    const last = ranges.at(-1);
    if (last && last[1] === number - 1) last[1] = number;
    else ranges.push([number, number]);
  }
  return ranges;
}

/** Below it, and far above what a listing can hold. */
const maxNumber = 2 ** 24;

/** @throws `data-loss` for what is no list of ascending ranges. */
export function decodeRanges(value: unknown): number[] {
  const numbers: number[] = [];
  let next = 0;
  for (const range of Array.isArray(value) ? (value as unknown[]) : [undefined]) {
    const [from, to] = Array.isArray(range) ? (range as unknown[]) : [];
    const isRange = Number.isSafeInteger(from) && Number.isSafeInteger(to);
    if (!isRange || (from as number) < next || (to as number) < (from as number) || (to as number) >= maxNumber) {
      throw new EngineError('data-loss', `decode wanted files: ${JSON.stringify(range)} is no range`);
    }
    for (let number = from as number; number <= (to as number); number++) numbers.push(number);
    next = (to as number) + 1;
  }
  return numbers;
}
