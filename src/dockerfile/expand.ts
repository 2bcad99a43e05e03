import { SyntaxFault } from './location.ts';
import { maxResultCharacters, replacePattern, tooLong, trimPrefix, trimSuffix } from './shell-pattern.ts';
import { isSpace, quote } from './text.ts';

export interface ExpandOptions {
  /** `\` or a backtick. */
  readonly escape: string;
  /** The value of a variable; undefined when it is unset. Also told of every name asked for. */
  readonly lookup: (name: string) => string | undefined;
  /** Keep quotes in the result. */
  readonly rawQuotes?: boolean;
  /** Keep escape characters in the result. */
  readonly rawEscapes?: boolean;
  /** Quotes mean nothing (heredoc bodies). */
  readonly skipQuotes?: boolean;
  /** Leave references to unset variables as they are. */
  readonly skipUnset?: boolean;
}

/** How deep `${a:-${b:-…}}` may nest. */
const maxDepth = 100;

/**
 * Quotes, escapes and variables of one word, as a POSIX shell reads them; blanks are kept. Modifiers: `:-` `-` `:+` `+` `:?` `?` `#` `##` `%` `%%` `/` `//`.
 * @throws SyntaxFault (`invalid-argument`) with BuildKit's words.
 */
export function expandWord(word: string, options: ExpandOptions): string {
  return process(word, options).text;
}

/** The same, then split at unquoted blanks, also those that came out of a variable. */
export function expandWords(word: string, options: ExpandOptions): string[] {
  return process(word, options).words;
}

function process(word: string, options: ExpandOptions): { text: string; words: string[] } {
  try {
    return new Expansion(word, options).run(undefined, options.rawEscapes ?? false);
  } catch (error) {
    if (!(error instanceof SyntaxFault)) throw error;
    throw new SyntaxFault(`failed to process ${quote(word)}: ${error.message}`);
  }
}

class Words {
  readonly done: string[] = [];
  #current = '';

  /** Text in which blanks separate words. */
  split(text: string): void {
    for (const character of text) {
      if (!isSpace(character)) this.#current += character;
      else this.#close();
    }
  }

  /** Quoted or escaped text. */
  keep(text: string): void {
    this.#current += text;
  }

  finish(): string[] {
    this.#close();
    return this.done;
  }

  #close(): void {
    if (this.#current !== '') this.done.push(this.#current);
    this.#current = '';
  }
}

class Expansion {
  readonly #characters: readonly string[];
  readonly #options: ExpandOptions;
  #at = 0;
  #depth = 0;
  #rawEscapes = false;

  constructor(word: string, options: ExpandOptions) {
    this.#characters = [...word];
    this.#options = options;
  }

  /** Reads up to `stop`, which is consumed, or to the end. */
  run(stop: string | undefined, rawEscapes: boolean): { text: string; words: string[] } {
    if (++this.#depth > maxDepth) throw new SyntaxFault('substitutions are nested too deeply');
    const outerRaw = this.#rawEscapes;
    this.#rawEscapes = rawEscapes;
    try {
      return this.#readUntil(stop);
    } finally {
      this.#rawEscapes = outerRaw;
      this.#depth--;
    }
  }

  get atEnd(): boolean {
    return this.#at >= this.#characters.length;
  }

  #peek(): string | undefined {
    return this.#characters[this.#at];
  }

  #next(): string | undefined {
    return this.#characters[this.#at++];
  }

  #readUntil(stop: string | undefined): { text: string; words: string[] } {
    let text = '';
    const words = new Words();
    while (!this.atEnd) {
      if (stop !== undefined && this.#peek() === stop) {
        this.#at++;
        return { text, words: words.finish() };
      }
      const piece = this.#piece();
      text += piece.text;
      if (piece.splits) words.split(piece.text);
      else words.keep(piece.text);
      if (text.length > maxResultCharacters) throw tooLong(this.#characters.slice(0, 80).join(''));
    }
    if (stop !== undefined) {
      throw new SyntaxFault(`unexpected end of statement while looking for matching ${stop}`);
    }
    return { text, words: words.finish() };
  }

  #piece(): { text: string; splits: boolean } {
    const character = this.#peek()!;
    if (character === '$') return { text: this.#dollar(), splits: true };
    if (character === '<') return { text: this.#possibleHeredoc(), splits: false };
    if (!this.#options.skipQuotes && character === "'") return { text: this.#singleQuoted(), splits: false };
    if (!this.#options.skipQuotes && character === '"') return { text: this.#doubleQuoted(), splits: false };
    this.#at++;
    if (character !== this.#options.escape) return { text: character, splits: true };
    return { text: (this.#rawEscapes ? character : '') + (this.#next() ?? ''), splits: false };
  }

  #singleQuoted(): string {
    const start = ++this.#at;
    const end = this.#characters.indexOf("'", start);
    if (end < 0) throw new SyntaxFault('unexpected end of statement while looking for matching single-quote');
    this.#at = end + 1;
    return this.#quoted("'", this.#characters.slice(start, end).join(''));
  }

  #quoted(mark: string, text: string): string {
    return this.#options.rawQuotes ? mark + text + mark : text;
  }

  #doubleQuoted(): string {
    this.#at++;
    let text = '';
    while (true) {
      const character = this.#peek();
      if (character === undefined) {
        throw new SyntaxFault('unexpected end of statement while looking for matching double-quote');
      }
      if (character === '"') {
        this.#at++;
        return this.#quoted('"', text);
      }
      text += character === '$' ? this.#dollar() : this.#doubleQuotedCharacter();
    }
  }

  #doubleQuotedCharacter(): string {
    const character = this.#next()!;
    if (character !== this.#options.escape) return character;
    const kept = this.#rawEscapes ? character : '';
    const following = this.#peek();
    if (following === undefined) return kept;
    if (following !== '"' && following !== '$' && following !== this.#options.escape) return kept + character;
    this.#at++;
    return kept + following;
  }

  #possibleHeredoc(): string {
    this.#at++;
    if (this.#peek() !== '<') return '<';
    this.#at++;
    let text = '<<';
    while (this.#peek() === ' ' || this.#peek() === '\t' || this.#peek() === '\r') text += this.#next();
    return text;
  }

  #dollar(): string {
    this.#at++;
    if (this.#peek() === '{') return this.#braced();
    const name = this.#name();
    if (name === '') return '$';
    const value = this.#options.lookup(name);
    return value ?? (this.#options.skipUnset ? `$${name}` : '');
  }

  #braced(): string {
    this.#at++;
    const first = this.#peek();
    if (first === undefined) throw new SyntaxFault("syntax error: missing '}'");
    if (first === '{' || first === '}' || first === ':') throw new SyntaxFault('syntax error: bad substitution');
    const name = this.#name();
    const mark = this.#next();
    if (mark === undefined) throw new SyntaxFault("syntax error: missing '}'");
    if (mark === '}') return this.#plain(name);
    if (mark === '/') return this.#replacement(name);
    const nullIsUnset = mark === ':';
    const operator = nullIsUnset ? this.#next() : mark;
    return this.#modified(name, operator, nullIsUnset);
  }

  #plain(name: string): string {
    const value = this.#options.lookup(name);
    return value ?? (this.#options.skipUnset ? `\${${name}}` : '');
  }

  #modified(name: string, operator: string | undefined, nullIsUnset: boolean): string {
    const marks = (nullIsUnset ? ':' : '') + (operator ?? '');
    const isPattern = operator === '#' || operator === '%';
    const known = isPattern || operator === '+' || operator === '-' || operator === '?';
    if ((!known && !nullIsUnset) || (isPattern && nullIsUnset)) throw unsupported(marks);
    const word = this.#until('}', isPattern, "syntax error: missing '}'");
    const value = this.#options.lookup(name);
    if (value === undefined && this.#options.skipUnset) return `\${${name}${marks}${word}}`;
    const missing = value === undefined || (nullIsUnset && value === '');
    switch (operator) {
      case '-':
        return missing ? word : value;
      case '+':
        return missing ? '' : word;
      case '?':
        if (!missing) return value;
        throw new SyntaxFault(`${name}: ${word || `is not allowed to be ${value === undefined ? 'unset' : 'empty'}`}`);
      case '%':
      case '#':
        return trim(operator, value ?? '', word);
      default:
        throw unsupported(marks);
    }
  }

  #replacement(name: string): string {
    const all = this.#peek() === '/';
    if (all) this.#at++;
    const pattern = this.#until('/', true, `syntax error: missing '/' in \${}`);
    const replacement = this.#until('}', true, "syntax error: missing '}'");
    const value = this.#options.lookup(name);
    if (value === undefined && this.#options.skipUnset) return `\${${name}/${pattern}/${replacement}}`;
    return replacePattern(value ?? '', pattern, replacement, all);
  }

  #until(stop: string, rawEscapes: boolean, missing: string): string {
    try {
      return this.run(stop, rawEscapes).text;
    } catch (error) {
      if (error instanceof SyntaxFault && this.atEnd) throw new SyntaxFault(missing);
      throw error;
    }
  }

  #name(): string {
    const first = this.#peek();
    if (first === undefined) return '';
    if (/\p{Nd}/u.test(first)) return this.#run(/\p{Nd}/u);
    if ('@*#?-$!'.includes(first)) {
      this.#at++;
      return first;
    }
    return this.#run(/[\p{L}\p{Nd}_]/u);
  }

  #run(allowed: RegExp): string {
    let name = '';
    while (!this.atEnd && allowed.test(this.#peek()!)) name += this.#next();
    return name;
  }
}

function trim(operator: '%' | '#', value: string, word: string): string {
  const longest = word.startsWith(operator);
  const pattern = longest ? word.slice(1) : word;
  return operator === '%' ? trimSuffix(value, pattern, longest) : trimPrefix(value, pattern, longest);
}

function unsupported(marks: string): SyntaxFault {
  return new SyntaxFault(`unsupported modifier (${marks}) in substitution`);
}
