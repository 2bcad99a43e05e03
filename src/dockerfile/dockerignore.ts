import { posix } from 'node:path';
import { EngineError } from '#errdefs';
import { compileGoMatch, compileIgnorePattern, type Glob } from './glob.ts';
import { trimSpace } from './text.ts';

/** Go's `filepath.Clean`. */
export function cleanPath(path: string): string {
  const normal = posix.normalize(path);
  return normal.length > 1 && normal.endsWith('/') ? normal.slice(0, -1) : normal;
}

/** The patterns of a .dockerignore file, in order, cleaned; exceptions keep their `!`. */
export function parseDockerignore(source: string | Uint8Array): string[] {
  const text = typeof source === 'string' ? source : Buffer.from(source).toString();
  const patterns: string[] = [];
  for (const line of text.replace(/^\ufeff/, '').split('\n')) {
    if (line.startsWith('#')) continue;
    const pattern = trimSpace(line);
    if (pattern === '') continue;
    const exception = pattern.startsWith('!');
    patterns.push((exception ? '!' : '') + normalised(exception ? trimSpace(pattern.slice(1)) : pattern));
  }
  return patterns;
}

function normalised(pattern: string): string {
  if (pattern === '') return '';
  const clean = cleanPath(pattern);
  return clean.length > 1 && clean.startsWith('/') ? clean.slice(1) : clean;
}

interface Rule {
  readonly exception: boolean;
  /** Cleaned, without its `!`. */
  readonly glob: string;
  readonly pattern: string;
  readonly matches: (path: string) => boolean;
}

/** Which paths a list of patterns leaves out. Later patterns win; a pattern that matches a folder covers what is in it. */
export class IgnoreMatcher {
  readonly #rules: readonly Rule[];

  /** @throws EngineError `invalid-argument` for a pattern that cannot be read. */
  constructor(patterns: readonly string[]) {
    this.#rules = patterns
      .map(trimSpace)
      .filter((pattern) => pattern !== '')
      .map(compileRule);
  }

  /**
   * Whether something in a folder that is left out has to be looked for all the same. As Docker's client decides it: when an exception names the folder
   * or something below it, letter by letter; a wildcard leads into no folder.
   */
  hasExceptionBelow(folder: string): boolean {
    return this.#rules.some(({ exception, glob }) => exception && `${glob}/`.startsWith(`${folder}/`));
  }

  /** Is `path` (relative, with `/`) left out? `.` never is. */
  excludes(path: string): boolean {
    return this.decide(path)?.exception === false;
  }

  /** The rule that had the last word about `path`; undefined when none did. */
  decide(path: string): { readonly pattern: string; readonly exception: boolean } | undefined {
    const clean = cleanPath(path);
    if (clean === '.') return undefined;
    const prefixes = pathAndParents(clean);
    let decision: Rule | undefined;
    for (const rule of this.#rules) {
      const excluded = decision?.exception === false;
      if (rule.exception === excluded && prefixes.some(rule.matches)) decision = rule;
    }
    return decision;
  }
}

function pathAndParents(path: string): string[] {
  const parts = path.split('/');
  return parts.map((_, index) => parts.slice(0, index + 1).join('/')).reverse();
}

function compileRule(written: string): Rule {
  const clean = cleanPath(written);
  const exception = clean.startsWith('!');
  const pattern = exception ? clean.slice(1) : clean;
  if (pattern === '') throw new EngineError('invalid-argument', 'illegal exclusion pattern: "!"');
  compileGoMatch(pattern);
  const glob = compileIgnorePattern(pattern);
  return { exception, glob: pattern, pattern: written, matches: suffixRule(pattern, glob) ?? glob.matches };
}

/** `**x` with nothing special after it means "ends with x", even in the middle of a name. */
function suffixRule(pattern: string, glob: Glob): ((path: string) => boolean) | undefined {
  const [first, ...rest] = glob.tokens;
  if (first?.kind !== 'folders' || pattern.includes('\\') || rest.some((token) => token.kind !== 'literal')) {
    return undefined;
  }
  const suffix = pattern.slice(2);
  return (path) => path.endsWith(suffix) || (suffix.startsWith('/') && path === suffix.slice(1));
}
