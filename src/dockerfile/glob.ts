import { EngineError } from '#errdefs';

type Token =
  | { readonly kind: 'literal'; readonly character: string }
  /** `?`: one character but `/`. */
  | { readonly kind: 'any' }
  /** `*`: any characters but `/`. */
  | { readonly kind: 'star' }
  /** `**` before something: nothing, or whole folders. */
  | { readonly kind: 'folders' }
  /** `**` at the end: everything. */
  | { readonly kind: 'everything' }
  | { readonly kind: 'class'; readonly negated: boolean; readonly ranges: readonly (readonly [string, string])[] };

/** A compiled pattern: a walk over all its states at once, so no pattern is slow on any path. */
export interface Glob {
  readonly tokens: readonly Token[];
  matches(path: string): boolean;
}

function syntaxError(): EngineError {
  return new EngineError('invalid-argument', 'syntax error in pattern');
}

/** Go's `filepath.Match`: `*` and `?` stop at `/`, `[a-z]` and `[^a]`, `\` escapes. @throws EngineError `invalid-argument`. */
export function compileGoMatch(pattern: string): Glob {
  return compile(pattern, false);
}

/** The same with `**`, as .dockerignore has it. */
export function compileIgnorePattern(pattern: string): Glob {
  return compile(pattern, true);
}

function compile(pattern: string, deep: boolean): Glob {
  const tokens = tokenize([...pattern], deep);
  return { tokens, matches: (path) => walk(tokens, path) };
}

function tokenize(characters: readonly string[], deep: boolean): Token[] {
  const tokens: Token[] = [];
  for (let at = 0; at < characters.length; ) {
    const character = characters[at]!;
    if (character === '*' && deep && characters[at + 1] === '*') {
      at += characters[at + 2] === '/' ? 3 : 2;
      tokens.push({ kind: at >= characters.length ? 'everything' : 'folders' });
    } else if (character === '[') {
      const set = readClass(characters, at + 1);
      tokens.push(set.token);
      at = set.end;
    } else {
      if (character === '*') tokens.push({ kind: 'star' });
      else if (character === '?') tokens.push({ kind: 'any' });
      else if (character !== '\\') tokens.push({ kind: 'literal', character });
      else tokens.push({ kind: 'literal', character: characters[++at] ?? fail() });
      at++;
    }
  }
  return tokens;
}

function fail(): never {
  throw syntaxError();
}

function readClass(characters: readonly string[], start: number): { token: Token; end: number } {
  let at = start;
  const negated = characters[at] === '^';
  if (negated) at++;
  const ranges: [string, string][] = [];
  const bound = (): string => {
    const character = characters[at++];
    if (character === undefined || character === '-' || character === ']') return fail();
    return character === '\\' ? (characters[at++] ?? fail()) : character;
  };
  while (characters[at] !== ']' || ranges.length === 0) {
    const low = bound();
    let high = low;
    if (characters[at] === '-') {
      at++;
      high = bound();
    }
    ranges.push([low, high]);
    if (at >= characters.length) return fail();
  }
  return { token: { kind: 'class', negated, ranges }, end: at + 1 };
}

/** States are token positions; the odd twin of a position is "inside the folders of `**`". */
function walk(tokens: readonly Token[], path: string): boolean {
  const goal = tokens.length * 2;
  let states = new Set<number>();
  enter(tokens, states, 0);
  for (const character of path) {
    const next = new Set<number>();
    for (const state of states) advance(tokens, state, character, next);
    if (next.size === 0) return false;
    states = next;
  }
  return states.has(goal);
}

function enter(tokens: readonly Token[], states: Set<number>, position: number): void {
  for (let at = position; ; at++) {
    states.add(at * 2);
    const kind = tokens[at]?.kind;
    if (kind !== 'star' && kind !== 'folders' && kind !== 'everything') return;
  }
}

function advance(tokens: readonly Token[], state: number, character: string, next: Set<number>): void {
  const position = state >> 1;
  const token = tokens[position];
  if (!token) return;
  switch (token.kind) {
    case 'literal':
      if (character === token.character) enter(tokens, next, position + 1);
      return;
    case 'any':
      if (character !== '/') enter(tokens, next, position + 1);
      return;
    case 'star':
      if (character !== '/') enter(tokens, next, position);
      return;
    case 'everything':
      enter(tokens, next, position);
      return;
    case 'folders':
      next.add(position * 2 + 1);
      if (character === '/') enter(tokens, next, position + 1);
      return;
    case 'class':
      if (inClass(token.ranges, character) !== token.negated) enter(tokens, next, position + 1);
      return;
    default:
      token satisfies never;
  }
}

function inClass(ranges: readonly (readonly [string, string])[], character: string): boolean {
  const code = character.codePointAt(0)!;
  return ranges.some(([low, high]) => low.codePointAt(0)! <= code && code <= high.codePointAt(0)!);
}
