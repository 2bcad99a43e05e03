import type { SourceRange } from './location.ts';

export interface ExcerptPlace {
  /** As shown: `Dockerfile`. */
  readonly name: string;
  readonly range: SourceRange;
  /** What the caret goes under, as written; without it, or where it is not found, the instruction's first line. */
  readonly words?: string | undefined;
}

/** Lines shown before and after the one with the caret. */
const around = 2;
const maxColumns = 160;
/** Shown left of the words in a line that is too long. */
const leadColumns = 40;

/**
 * The lines around a fault, with their numbers, and a caret under the words it is about:
 *
 * ```
 * Dockerfile:2
 *    1 | FROM base
 *    2 | COYP a b
 *      | ^^^^
 * ```
 */
export function excerptOf(source: string | readonly string[], place: ExcerptPlace): string {
  const lines = typeof source === 'string' ? linesOf(source) : source;
  const { first, last } = bounded(place.range, lines.length);
  const found = find(lines, first, last, place.words);
  const rows = [`${place.name}:${found.line}\n`];
  const width = String(Math.min(lines.length, found.line + around)).length + 3;
  const gutter = (text: string) => `${text.padStart(width)} | `;
  const row = (line: number, clip: Clip) => rows.push(`${gutter(String(line))}${clip.show(lines[line - 1]!)}\n`);
  const whole = new Clip(0);
  if (first < found.line - around) {
    row(first, whole);
    if (first < found.line - around - 1) rows.push(`${gutter('…').trimEnd()}\n`);
  }
  for (let line = found.line - around; line <= found.line + around; line++) {
    if (line < 1 || line > lines.length) continue;
    const clip = line === found.line ? new Clip(found.column) : whole;
    row(line, clip);
    if (line === found.line) rows.push(`${gutter('')}${clip.caret(lines[line - 1]!, found)}\n`);
  }
  return rows.join('');
}

/** What `excerptOf` is given where there is more than one to make. */
export function linesOf(source: string): readonly string[] {
  return source.replace(/\n$/, '').split('\n');
}

interface Found {
  readonly line: number;
  /** From 0. */
  readonly column: number;
  readonly length: number;
}

function bounded({ startLine, endLine }: SourceRange, count: number): { first: number; last: number } {
  const first = Math.min(Math.max(startLine, 1), count);
  return { first, last: Math.min(Math.max(endLine, first), count) };
}

function find(lines: readonly string[], first: number, last: number, words: string | undefined): Found {
  if (words) {
    for (let line = first; line <= last; line++) {
      const column = wordColumn(lines[line - 1]!, words);
      if (column >= 0) return { line, column, length: words.length };
    }
  }
  const text = lines[first - 1]!;
  const column = text.length - text.trimStart().length;
  return { line: first, column, length: Math.max(text.trim().length, 1) };
}

/** Where the words stand by themselves, else where they stand at all. */
function wordColumn(line: string, words: string): number {
  const isPart = (character: string | undefined) => character !== undefined && /[\w-]/.test(character);
  for (let at = line.indexOf(words); at >= 0; at = line.indexOf(words, at + 1)) {
    if (!isPart(line[at - 1]) && !isPart(line[at + words.length])) return at;
  }
  return line.indexOf(words);
}

/** The part of a long line that is shown. */
class Clip {
  readonly #start: number;

  constructor(column: number) {
    this.#start = column < maxColumns - leadColumns ? 0 : column - leadColumns;
  }

  show(line: string): string {
    const lead = this.#start > 0 ? '…' : '';
    const end = this.#start + maxColumns;
    return `${lead}${printable(line.slice(this.#start, end))}${line.length > end ? '…' : ''}`.trimEnd();
  }

  /** Tabs stay tabs, so that the caret stands below the words whatever they are shown as. */
  caret(line: string, { column, length }: Found): string {
    const before = line.slice(this.#start, column).replace(/[^\t]/g, ' ');
    const end = Math.min(column + length, this.#start + maxColumns);
    return `${this.#start > 0 ? ' ' : ''}${before}${'^'.repeat(Math.max(end - column, 1))}`;
  }
}

/** A file may hold what a terminal takes for commands. */
function printable(text: string): string {
  return text.replace(/\r$/, '').replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/g, '\ufffd');
}
