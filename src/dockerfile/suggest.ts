/** The option nearest to what was written, at a distance of two edits at most; undefined when one is the same. */
export function suggestion(
  written: string,
  options: readonly string[],
  { ignoreCase = false }: { ignoreCase?: boolean } = {},
): string | undefined {
  const wanted = ignoreCase ? written.toLowerCase() : written;
  if (wanted.length > 64) return undefined;
  let best: string | undefined;
  let bestDistance = 3;
  for (const option of options) {
    const candidate = ignoreCase ? option.toLowerCase() : option;
    if (candidate === wanted) return undefined;
    if (Math.abs(candidate.length - wanted.length) >= bestDistance) continue;
    const distance = editDistance(wanted, candidate);
    if (distance >= bestDistance) continue;
    bestDistance = distance;
    best = ignoreCase ? caseLike(candidate, written) : candidate;
  }
  return best;
}

/** Two edits make any short word of another. */
const minNameLetters = 3;

/** For names that a user made up, of stages and arguments: as they are written there. */
export function nearestName(written: string, names: readonly string[]): string | undefined {
  if (written.length < minNameLetters) return undefined;
  const near = suggestion(written, names, { ignoreCase: true })?.toLowerCase();
  return names.find((name) => name.toLowerCase() === near);
}

/** ` (did you mean X?)`, or nothing. */
export function didYouMean(written: string, options: readonly string[], how: { ignoreCase?: boolean } = {}): string {
  const match = suggestion(written, options, how);
  return match === undefined ? '' : ` (did you mean ${match}?)`;
}

function caseLike(match: string, written: string): string {
  return written !== written.toLowerCase() && written === written.toUpperCase() ? match.toUpperCase() : match;
}

function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = previous[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      row.push(Math.min(substitution, previous[j]! + 1, row[j - 1]! + 1));
    }
    previous = row;
  }
  return previous[b.length]!;
}
