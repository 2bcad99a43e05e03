import { type HeredocBody, heredocsOf } from './heredoc.ts';
import { LocationError, type SourceRange, SyntaxFault } from './location.ts';
import { checkStatement, jsonStrings, type Statement, splitStatement } from './statements.ts';
import { trimLeft, trimSpace } from './text.ts';

/** One instruction as written: a statement with its heredoc bodies, place and the comments right above it. */
export interface Line {
  readonly statement: Statement;
  readonly heredocs: readonly HeredocBody[];
  readonly range: SourceRange;
  readonly comments: readonly string[];
}

export interface Directives {
  readonly syntax?: string;
  readonly check?: string;
  readonly escape: string;
}

export interface SourceLines {
  readonly lines: readonly Line[];
  readonly directives: Directives;
  readonly warnings: readonly ReadWarning[];
}

/** Something that is read and should not be written; `line` is where its instruction ends. */
export interface ReadWarning {
  readonly text: string;
  readonly line: number;
}

/** A physical line longer than this is refused, as Docker's scanner does. */
const maxLineBytes = 65_535;

/** Text to logical lines: parser directives, comments, continuations, heredocs. @throws LocationError without a prefix. */
export function readLines(text: string): SourceLines {
  return new Reader(text).read();
}

class Reader {
  readonly #source: readonly string[];
  readonly #directives: { syntax?: string; check?: string; escape: string } = { escape: '\\' };
  readonly #seen = new Set<string>();
  readonly #warnings: ReadWarning[] = [];
  #directivesDone = false;
  #comments: string[] = [];
  #at = 0;

  constructor(text: string) {
    const bare = text.startsWith('\ufeff') ? text.slice(1) : text;
    this.#source = bare.match(/[^\n]*\n|[^\n]+$/g) ?? [];
  }

  read(): SourceLines {
    const lines: Line[] = [];
    while (this.#at < this.#source.length) {
      const line = this.#readLogical();
      if (line) lines.push(line);
    }
    if (lines.length === 0) throw this.#fault('file with no instructions', Math.max(this.#at, 1));
    return { lines, directives: this.#directives, warnings: this.#warnings };
  }

  #fault(reason: string, startLine: number): LocationError {
    return new LocationError(reason, { startLine, endLine: Math.max(this.#at, startLine) });
  }

  #take(): string {
    const line = this.#source[this.#at++]!;
    if (line.length > maxLineBytes / 3 && Buffer.byteLength(line) > maxLineBytes + 1) {
      throw this.#fault(`dockerfile line greater than max allowed size of ${maxLineBytes}`, this.#at);
    }
    return line;
  }

  #readLogical(): Line | undefined {
    const first = trimLeft(trimLineEnd(this.#take()));
    const startLine = this.#at;
    if (this.#isDirective(first)) return undefined;
    if (first.startsWith('#')) {
      this.#noteComment(first);
      return undefined;
    }
    const start = cutContinuation(first, this.#directives.escape);
    if (!start.continues && start.text === '') return undefined;
    const text = start.continues ? this.#joinContinuations(start.text) : start.text;
    const comments = this.#comments;
    this.#comments = [];
    return this.#placed(startLine, () => {
      const statement = splitStatement(text, this.#directives.escape);
      checkStatement(statement, this.#directives.escape);
      const heredocs = takesHeredocs(statement, this.#directives.escape) ? this.#readHeredocs(text) : [];
      return { statement, heredocs, comments, range: { startLine, endLine: this.#at } };
    });
  }

  #placed<T>(startLine: number, work: () => T): T {
    try {
      return work();
    } catch (error) {
      if (error instanceof SyntaxFault) throw this.#fault(error.message, startLine);
      throw error;
    }
  }

  #noteComment(line: string): void {
    const comment = trimSpace(line.slice(1));
    if (comment === '') this.#comments = [];
    else this.#comments.push(comment);
  }

  #joinContinuations(start: string): string {
    const parts = [start];
    const escapeToken = this.#directives.escape;
    let emptyLine = false;
    for (let continues = true; continues && this.#at < this.#source.length; ) {
      const line = trimLineEnd(this.#take());
      const bare = trimLeft(line);
      if (bare.startsWith('#')) continue;
      if (bare === '') {
        emptyLine = true;
        continue;
      }
      const piece = cutContinuation(line, escapeToken);
      parts.push(piece.text);
      continues = piece.continues;
    }
    const text = parts.join('');
    if (emptyLine) this.#warnings.push({ text: `Empty continuation line found in: ${text}`, line: this.#at });
    return text;
  }

  #readHeredocs(text: string): HeredocBody[] {
    return heredocsOf(text).map((heredoc) => {
      const content: string[] = [];
      while (this.#at < this.#source.length) {
        const line = this.#take();
        const bare = trimLineEnd(line);
        if ((heredoc.chomp ? bare.replace(/^\t+/, '') : bare) === heredoc.name) {
          return { ...heredoc, content: content.join('') };
        }
        content.push(line);
      }
      throw new SyntaxFault('unterminated heredoc');
    });
  }

  /** `# name=value` lines before anything else; an unknown name ends them and is a comment. */
  #isDirective(line: string): boolean {
    if (this.#directivesDone) return false;
    const match = /^#[\t\n\f\r ]*([a-zA-Z][a-zA-Z0-9]*)[\t\n\f\r ]*=(.*)$/.exec(line);
    const name = match?.[1]?.toLowerCase();
    const value = trimSpace(match?.[2] ?? '');
    if (!value || (name !== 'syntax' && name !== 'escape' && name !== 'check')) {
      this.#directivesDone = true;
      return false;
    }
    if (this.#seen.has(name)) throw this.#fault(`only one ${name} parser directive can be used`, this.#at);
    this.#seen.add(name);
    if (name === 'escape' && value !== '\\' && value !== '`') {
      throw this.#fault(`invalid escape token '${value}' does not match \` or \\`, this.#at);
    }
    this.#directives[name] = value;
    return true;
  }
}

function trimLineEnd(line: string): string {
  return line.replace(/[\r\n]+$/, '');
}

/** An escape character at the end, unless another one stands before it, continues the line. */
function cutContinuation(line: string, escapeToken: string): { text: string; continues: boolean } {
  let end = line.length;
  while (end > 0 && (line[end - 1] === ' ' || line[end - 1] === '\t')) end--;
  if (line[end - 1] !== escapeToken || line[end - 2] === escapeToken) return { text: line, continues: false };
  return { text: line.slice(0, end - 1), continues: true };
}

const heredocKeywords = ['add', 'copy', 'run'];

function takesHeredocs(statement: Statement, escapeToken: string): boolean {
  if (!statement.text.includes('<<')) return false;
  const inner = statement.keyword.toLowerCase() === 'onbuild' ? splitStatement(statement.rest, escapeToken) : statement;
  return heredocKeywords.includes(inner.keyword.toLowerCase()) && jsonStrings(inner.rest) === undefined;
}
