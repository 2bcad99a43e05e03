import { type ExpandOptions, expandWord } from '../expand.ts';

export interface Looked {
  readonly text: string;
  /** Names that had a value. */
  readonly matched: ReadonlySet<string>;
  /** Names that had none, in the order they were met. */
  readonly unmatched: ReadonlySet<string>;
}

/** Expands a word and tells which variables it named. `onUnmatched` is called for those without a value also when the word cannot be expanded. */
export function expandLooking(
  word: string,
  env: ReadonlyMap<string, string>,
  options: Pick<ExpandOptions, 'escape' | 'skipQuotes'>,
  onUnmatched: (names: ReadonlySet<string>) => void = () => {},
): Looked {
  const matched = new Set<string>();
  const unmatched = new Set<string>();
  const lookup = (name: string) => {
    (env.has(name) ? matched : unmatched).add(name);
    return env.get(name);
  };
  try {
    return { text: expandWord(word, { ...options, lookup }), matched, unmatched };
  } finally {
    onUnmatched(unmatched);
  }
}
