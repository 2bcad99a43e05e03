import { SyntaxFault } from './location.ts';
import { quote } from './text.ts';

type Token = { readonly kind: 'any' | 'star' } | { readonly kind: 'literal'; readonly character: string };

/**
 * A shell pattern (`*`, `?`, `\` escapes; no brackets) as used by `${x#pattern}` and its kin. Matching walks all states at once, so a hostile pattern
 * costs pattern length times text length, never more. `*` and `?` do not match a line feed.
 */
export class ShellPattern {
  readonly #tokens: readonly Token[];

  private constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  /** @throws SyntaxFault for an escape of an ordinary character. */
  static parse(pattern: string): ShellPattern {
    const tokens: Token[] = [];
    const characters = [...pattern];
    for (let i = 0; i < characters.length; i++) {
      const character = characters[i]!;
      if (character === '*') tokens.push({ kind: 'star' });
      else if (character === '?') tokens.push({ kind: 'any' });
      else if (character !== '\\') tokens.push({ kind: 'literal', character });
      else if (characters[i + 1] !== '}' && characters[i + 1] !== '/') {
        tokens.push({ kind: 'literal', character: escaped(characters[++i], pattern) });
      }
    }
    return new ShellPattern(tokens);
  }

  /** The same pattern read from its end. */
  reversed(): ShellPattern {
    return new ShellPattern([...this.#tokens].reverse());
  }

  /** End of the shortest or longest match that starts at `start`; -1 when there is none. */
  matchAt(text: readonly string[], start: number, longest: boolean): number {
    let states = this.#closure(new Set([0]));
    let end = states.has(this.#tokens.length) ? start : -1;
    for (let at = start; at < text.length && states.size > 0; at++) {
      if (end >= 0 && !longest) return end;
      states = this.#step(states, text[at]!);
      if (states.has(this.#tokens.length)) end = at + 1;
    }
    return end;
  }

  /** Leftmost longest match at or after `from`. */
  find(text: readonly string[], from: number): { start: number; end: number } | undefined {
    const start = this.#leftmostStart(text, from);
    return start < 0 ? undefined : { start, end: this.matchAt(text, start, true) };
  }

  /** Runs a match from every position at once, each state remembering its earliest start. */
  #leftmostStart(text: readonly string[], from: number): number {
    let starts = new Map<number, number>();
    let best = -1;
    for (let at = from; at <= text.length; at++) {
      if (best < 0) this.#enter(starts, 0, at);
      const accepted = starts.get(this.#tokens.length);
      if (accepted !== undefined && (best < 0 || accepted < best)) best = accepted;
      if (best >= 0) for (const [state, start] of starts) if (start >= best) starts.delete(state);
      if (at === text.length || (best >= 0 && starts.size === 0)) break;
      starts = this.#stepStarts(starts, text[at]!);
    }
    return best;
  }

  #stepStarts(starts: ReadonlyMap<number, number>, character: string): Map<number, number> {
    const next = new Map<number, number>();
    for (const [state, start] of starts) {
      const token = this.#tokens[state];
      if (token && accepts(token, character)) this.#enter(next, token.kind === 'star' ? state : state + 1, start);
    }
    return next;
  }

  #enter(starts: Map<number, number>, state: number, start: number): void {
    for (let at = state; ; at++) {
      const known = starts.get(at);
      if (known === undefined || start < known) starts.set(at, start);
      if (this.#tokens[at]?.kind !== 'star') return;
    }
  }

  #closure(states: Set<number>): Set<number> {
    for (const state of states) if (this.#tokens[state]?.kind === 'star') states.add(state + 1);
    return states;
  }

  #step(states: ReadonlySet<number>, character: string): Set<number> {
    const next = new Set<number>();
    for (const state of states) {
      const token = this.#tokens[state];
      if (token && accepts(token, character)) next.add(token.kind === 'star' ? state : state + 1);
    }
    return this.#closure(next);
  }
}

function accepts(token: Token, character: string): boolean {
  return token.kind === 'literal' ? token.character === character : character !== '\n';
}

function escaped(character: string | undefined, pattern: string): string {
  if (character === '*' || character === '?' || character === '\\') return character;
  const what = character === undefined ? 'a trailing escape' : `invalid escape '\\${character}'`;
  throw new SyntaxFault(`invalid pattern (${pattern}) in substitution: ${what}`);
}

/** `${x#pattern}` and `${x##pattern}`. */
export function trimPrefix(value: string, pattern: string, longest: boolean): string {
  const text = [...value];
  const end = ShellPattern.parse(pattern).matchAt(text, 0, longest);
  return end < 0 ? value : text.slice(end).join('');
}

/** `${x%pattern}` and `${x%%pattern}`. */
export function trimSuffix(value: string, pattern: string, longest: boolean): string {
  const text = [...value].reverse();
  const end = ShellPattern.parse(pattern).reversed().matchAt(text, 0, longest);
  return end < 0 ? value : text.slice(end).reverse().join('');
}

/** `${x/pattern/replacement}` and `${x//pattern/replacement}`; the replacement is taken literally. */
export function replacePattern(value: string, pattern: string, replacement: string, all: boolean): string {
  const compiled = ShellPattern.parse(pattern);
  const text = [...value];
  let result = '';
  let copied = 0;
  let from = 0;
  let previousEnd = -1;
  while (from <= text.length) {
    const match = compiled.find(text, from);
    if (!match) break;
    const empty = match.start === match.end;
    if (!(empty && match.start === previousEnd)) {
      result += text.slice(copied, match.start).join('') + replacement;
      if (result.length > maxResultCharacters) throw tooLong(pattern);
      copied = match.end;
      if (!all) break;
    }
    previousEnd = match.end;
    from = empty ? match.end + 1 : match.end;
  }
  return result + text.slice(copied).join('');
}

/** A value that grows beyond this by substitution is an attack, not a build argument. */
export const maxResultCharacters = 1 << 20;

export function tooLong(source: string): SyntaxFault {
  const shown = source.length > 60 ? `${source.slice(0, 60)}…` : source;
  return new SyntaxFault(`expanded value of ${quote(shown)} is longer than ${maxResultCharacters} characters`);
}
