import { UsageError } from './flags.ts';

/** `key=value` lines; a key alone has an empty value. */
export function pairs(lines: readonly string[]): Record<string, string> {
  return Object.fromEntries(lines.map((line) => split(line) ?? [line, '']));
}

/** The same of a flag that takes no key without a value. @throws UsageError in Docker's words. */
export function keyedPairs(lines: readonly string[], flag: string): Record<string, string> {
  return Object.fromEntries(
    lines.map((line) => {
      const pair = split(line);
      if (!pair)
        throw new UsageError(`invalid argument "${line}" for "${flag}" flag: ${line} must be formatted as key=value`);
      return pair;
    }),
  );
}

function split(line: string): [string, string] | undefined {
  const at = line.indexOf('=');
  return at < 0 ? undefined : [line.slice(0, at), line.slice(at + 1)];
}
